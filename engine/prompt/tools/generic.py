"""Any other model that follows instructions: Hearth describes the tools itself, and asks for the form of Hermes.

That form is the one most models have met, and its tags let text and calls stand side by side.
"""

from __future__ import annotations

from engine.prompt.tools.hermes import Hermes


class Generic(Hermes):
    name = "generic"
    takes_over = True

    def recognises(self, source: str) -> bool:
        return True

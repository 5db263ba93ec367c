"""What the parts of `LocalEngine` have in common: what it is made of, and what one part asks of another."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from engine.local_loop import LocalLoop

if TYPE_CHECKING:
    from engine.media import Sources
    from engine.paths import Paths
    from engine.runtime.readers import Readers
    from engine.runtime.supervisor import Supervisor
    from engine.runtime.targets import Targets
    from engine.runtime.ticket import Target
    from engine.settings import Settings
    from engine.store.metrics import Metrics
    from engine.types import BackendName, ModelEntry, ModelFacts


class LocalParts(LocalLoop):
    """Each part inherits this and has one subject; `LocalEngine` inherits the parts and makes what is declared here."""

    _settings: Settings
    _paths: Paths
    _targets: Targets
    _supervisor: Supervisor
    _readers: Readers
    _sources: Sources

    @abstractmethod
    async def models(self) -> list[ModelEntry]:
        """See `engine.face.Engine`."""

    @abstractmethod
    async def _find(self, name: str, backend: BackendName = "auto") -> Target:
        """The target of `name`; looking happens off the loop. Raises what keeps it from being found."""

    @abstractmethod
    async def _facts_of(self, target: Target) -> ModelFacts:
        """What a model is that can be read without its weights, be it in memory or not."""

    @abstractmethod
    def _store(self) -> Metrics:
        """Where rows are written."""

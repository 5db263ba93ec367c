"""The table of what backends can do is the one that they themselves give."""

from __future__ import annotations

from pathlib import Path

from cli.backends import capabilities, document


def test_the_docs_say_what_the_backends_say(repository: Path) -> None:
    found = capabilities()
    assert document(found, capabilities(seeing=True)) == (repository / "docs" / "backends.md").read_text(
        "utf-8"
    )
    assert {each.backend for each in found.values()} == {"llama", "transformers", "mlx"}

"""The settings that a command runs under: the global options laid over the environment and the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine import settings
from engine.errors import InvalidSettings

if TYPE_CHECKING:
    from engine import Address


@dataclass(frozen=True)
class GlobalOptions:
    """What stood before the command's name."""

    config: str | None = None
    log_level: str | None = None
    connect: str | None = None
    """Address of another Hearth whose engine is to be used."""
    key_file: str | None = None
    alone: bool = False
    """Whether a server of this user that runs is left alone."""

    @property
    def address(self) -> Address | None:
        """The Hearth that was named. Raises InvalidRequest."""
        from cli.engines import named

        return named(self.connect, self.key_file)

    def load(self) -> settings.Loaded:
        """The settings in force with their sources. Raises InvalidSettings."""
        return load(self.config, self.log_level)

    def check(self) -> tuple[settings.Loaded, list[InvalidSettings]]:
        """The settings as far as they can be used, and what is wrong with them."""
        return settings.check(self.file, cli={"log.level": self.log_level})

    @property
    def file(self) -> Path | None:
        return Path(self.config) if self.config is not None else None


def load(config: str | None, log_level: str | None) -> settings.Loaded:
    """The settings in force, with `config` in place of the usual files and `log_level` over all."""
    return settings.load_with_sources(
        Path(config) if config is not None else None, cli={"log.level": log_level}
    )

"""Paths follow HEARTH_HOME or XDG, and what is made is private."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine import paths
from engine.errors import StorageFailed


def test_one_variable_moves_everything(tmp_path: Path) -> None:
    found = paths.resolve({"HEARTH_HOME": str(tmp_path), "XDG_CONFIG_HOME": "/elsewhere"})
    values = [getattr(found, name) for name in found.__struct_fields__]
    values += [getattr(found, name) for name, made in vars(paths.Paths).items() if isinstance(made, property)]
    assert len(values) > 12
    assert all(path.is_relative_to(tmp_path) for path in values)
    assert found.config_file == tmp_path / "config.toml"


def test_without_it_the_xdg_defaults_hold() -> None:
    found = paths.resolve({"HOME": "/home/ada"})
    assert found.config_file == Path("/home/ada/.config/hearth/config.toml")
    assert found.metrics_file == Path("/home/ada/.local/state/hearth/metrics.duckdb")
    assert found.models == Path("/home/ada/.local/share/hearth/models")
    assert found.cache == Path("/home/ada/.cache/hearth")
    assert found.runtime == Path("/home/ada/.local/state/hearth/run/hearth")


def test_xdg_variables_count_if_absolute() -> None:
    found = paths.resolve({"HOME": "/home/ada", "XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "relative"})
    assert found.config == Path("/c/hearth")
    assert found.data == Path("/home/ada/.local/share/hearth")


def test_home_may_be_written_with_a_tilde_or_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.resolve({"HEARTH_HOME": "~/h", "HOME": "/home/ada"}).config == Path("/home/ada/h")
    assert paths.resolve({"HEARTH_HOME": "h"}).config == tmp_path / "h"


def test_looking_makes_nothing_and_ensure_makes_it_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        found = paths.resolve({"HEARTH_HOME": str(tmp_path / "home")})
        assert not (tmp_path / "home").exists()
        assert paths.ensure(found.spool) == found.spool
        assert stat.S_IMODE(found.spool.stat().st_mode) == 0o700
        assert stat.S_IMODE(found.state.stat().st_mode) == 0o700
        assert paths.ensure(found.spool) == found.spool
    finally:
        os.umask(old)


def test_a_folder_that_others_may_write_in_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StorageFailed, match="chmod go-w"):
        paths.ensure(tmp_path / "open")


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed):
        paths.ensure(tmp_path / "file")
    with pytest.raises(StorageFailed, match="HEARTH_HOME"):
        paths.ensure(tmp_path / "file" / "below")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(StorageFailed, match="another user"):
        paths.ensure(tmp_path / "theirs")

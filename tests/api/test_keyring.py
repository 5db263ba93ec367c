"""Keys: made once, kept as hashes, revoked for good, shared between processes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from api import Keyring
from engine.errors import HearthError, InvalidRequest, StorageFailed
from engine.paths import Paths, resolve


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return resolve({"HEARTH_HOME": str(tmp_path)})


def test_a_key_is_known_by_its_secret_alone(paths: Paths) -> None:
    keyring = Keyring(paths)
    key, secret = keyring.create("bob", ("generate", "manage"))
    assert keyring.check(secret) == key
    assert keyring.check(secret + "x") is None
    assert keyring.check(key.hash) is None
    file = paths.state / "keys.json"
    assert secret not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_others_see_a_change_without_a_restart(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    from api.security import keyring

    monkeypatch.setattr(keyring, "_STALE_S", 0.0)
    server, terminal = Keyring(paths), Keyring(paths)
    assert not server.any()
    _, secret = terminal.create("bob")
    assert server.any() and server.check(secret) is not None
    terminal.revoke("bob")
    assert server.check(secret) is None
    assert not server.any()
    with pytest.raises(InvalidRequest):
        terminal.revoke("bob")


def test_names_scopes_and_times_are_checked(paths: Paths) -> None:
    keyring = Keyring(paths)
    keyring.create("bob")
    with pytest.raises(InvalidRequest, match="already"):
        keyring.create("bob")
    with pytest.raises(InvalidRequest, match="scope"):
        keyring.create("eve", ("everything",))  # type: ignore[arg-type]
    _, late = keyring.create("late", lifetime=-1)
    assert keyring.check(late) is None


def test_a_damaged_file_is_said_and_not_overwritten(paths: Paths) -> None:
    keyring = Keyring(paths)
    keyring.create("bob")
    file = paths.state / "keys.json"
    file.write_text("{")
    with pytest.raises(StorageFailed):
        Keyring(paths).check("x")
    with pytest.raises(HearthError):
        Keyring(paths).create("eve")
    assert file.read_text() == "{"


def test_the_file_is_not_written_through_a_link(paths: Paths, tmp_path: Path) -> None:
    aim = tmp_path / "aim"
    aim.write_text("untouched")
    paths.state.mkdir(parents=True, mode=0o700)
    (paths.state / "keys.lock").symlink_to(aim)
    with pytest.raises(StorageFailed):
        Keyring(paths).create("bob")
    assert aim.read_text() == "untouched"

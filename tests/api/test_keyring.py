"""Keys: made once, kept as hashes, revoked for good, shared between processes."""

from __future__ import annotations

import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from api import Key, Keyring
from engine.errors import InvalidRequest, StorageFailed
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
    for file in paths.state.iterdir():
        assert secret.encode() not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


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


def test_looking_makes_nothing(paths: Paths) -> None:
    keyring = Keyring(paths)
    assert keyring.keys() == [] and not keyring.any() and keyring.check("x") is None
    assert not paths.state.exists()


def test_a_damaged_file_opens_nothing_and_is_kept(paths: Paths) -> None:
    keyring = Keyring(paths)
    _, secret = keyring.create("bob")
    keyring.close()
    paths.server_file.write_bytes(b"no database" * 1000)
    assert keyring.check(secret) is None
    assert any(file.read_bytes().startswith(b"no database") for file in paths.state.glob("server.db*"))
    assert keyring.create("bob")


def test_keys_of_an_earlier_hearth_are_taken_over_once(paths: Paths) -> None:
    paths.state.mkdir(parents=True, mode=0o700)
    key, secret = (
        Key(id="ab", name="old", hash=hashlib.sha256(b"hth_old").hexdigest(), created=1.0),
        "hth_old",
    )
    file = paths.state / "keys.json"
    file.write_bytes(msgspec.json.encode([key]))
    assert Keyring(paths).check(secret) == key
    known = Keyring(paths).keys()
    assert not file.exists() and [each.name for each in known] == ["old"]
    file.write_text("{")
    with pytest.raises(StorageFailed):
        Keyring(paths).check(secret)
    assert file.read_text() == "{"


def test_the_file_is_not_written_through_a_link(paths: Paths, tmp_path: Path) -> None:
    aim = tmp_path / "aim"
    aim.write_text("untouched")
    paths.state.mkdir(parents=True, mode=0o700)
    (paths.state / "server.db.lock").symlink_to(aim)
    with pytest.raises(StorageFailed):
        Keyring(paths).create("bob")
    assert aim.read_text() == "untouched"


def test_many_at_once_lose_no_key(paths: Paths) -> None:
    def make(number: int) -> str:
        return Keyring(paths).create(f"key-{number}")[1]

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(12)))
    keyring = Keyring(paths)
    assert all(keyring.check(secret) for secret in made) and len(keyring.keys()) == 12

"""Who may see what: refusals in words, the token to its own host alone, redirects to none but the hub's hosts."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.errors import HearthError, HubUnavailable, ModelNotFound, NotAllowed, PullFailed
from engine.hub import addresses
from engine.hub.access import DEFAULT_ENDPOINT, Access, access_of, cache_folder
from engine.hub.refusals import retry_after
from engine.hub.service import HubService
from engine.settings import Hub, Settings
from engine.types import HubQuery
from tests.hub.conftest import QUICK, Open, noise, pulled
from tests.hub.server import HubServer

NAME = "org/model-GGUF"


@pytest.fixture
def model(hub: HubServer) -> str:
    hub.add(NAME, {"model-Q4_K_M.gguf": noise(10_000)})
    return NAME


@pytest.mark.parametrize(
    ("gated", "private", "token", "kind", "said"),
    [
        (True, False, None, NotAllowed, "set HF_TOKEN"),
        (True, False, "hf_good", NotAllowed, "wait for the approval"),
        (False, True, None, ModelNotFound, "no token is set"),
        (False, False, "hf_bad", NotAllowed, "does not know your token"),
    ],
)
async def test_who_has_no_access_hears_how_to_get_it(
    hub: HubServer,
    opened: Open,
    cache: Path,
    gated: bool,
    private: bool,
    token: str | None,
    kind: type[HearthError],
    said: str,
) -> None:
    hub.add(NAME, {"model-Q4_K_M.gguf": noise(10_000)}, gated=gated, private=private)
    async with opened(token=token) as service:
        state = await pulled(service, NAME)
    assert state.stage == "failed" and state.error is not None
    assert state.error.code == kind.code
    assert said in state.error.sentence()
    assert token is None or token not in state.error.sentence()
    assert hub.bytes_served == 0


@pytest.mark.parametrize(("gated", "private"), [(True, False), (False, True)])
async def test_with_the_right_token_it_is_there(
    hub: HubServer, opened: Open, gated: bool, private: bool
) -> None:
    hub.add(NAME, {"model-Q4_K_M.gguf": noise(10_000)}, gated=gated, private=private)
    hub.tokens.add("hf_approved")
    async with opened(token="hf_approved") as service:
        assert (await pulled(service, NAME)).stage == "done"
    assert hub.asked("/api/")[0].headers["authorization"] == "Bearer hf_approved"


async def test_who_logs_in_meanwhile_need_not_start_again(hub: HubServer, cache: Path) -> None:
    hub.add(NAME, {"model-Q4_K_M.gguf": noise(10_000)}, gated=True)
    hub.tokens.add("hf_approved")
    tokens: list[str | None] = [None]
    service = HubService(
        lambda: Access(endpoint=hub.endpoint, cache=cache, token=tokens[-1]), connections=2, pace=QUICK
    )
    try:
        refused = await pulled(service, NAME)
        assert refused.error is not None and "hf auth login" in refused.error.sentence()
        tokens.append("hf_approved")
        assert (await pulled(service, NAME)).stage == "done"
    finally:
        await service.close()


async def test_what_does_not_exist_is_named(hub: HubServer, opened: Open, model: str) -> None:
    async with opened() as service:
        for name, said in (
            ("org/nothing", "'org/nothing'"),
            (f"{NAME}@v9", "no revision 'v9'"),
            (f"{NAME}:Q8_0", "no quantisation 'Q8_0'"),
        ):
            state = await pulled(service, name)
            assert state.error is not None and state.error.code == ModelNotFound.code
            assert said in state.error.what


async def test_a_rate_limit_is_waited_for_if_it_is_short_and_told_if_it_is_long(
    hub: HubServer, opened: Open, model: str
) -> None:
    async with opened() as service:
        hub.busy = [(429, {"Retry-After": "0"}), (503, {})]
        assert len(await service.search(HubQuery(text="model"))) == 1
        hub.busy = [(429, {"Retry-After": "77"})]
        with pytest.raises(HubUnavailable) as refused:
            await service.search(HubQuery(text="model"))
    assert (
        refused.value.retry_after_s == 77 and "77 s" in refused.value.fix and "HF_TOKEN" in refused.value.fix
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "999999999999"}, 3600.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"ratelimit": '"api";r=0;t=55'}, 55.0),
        ({"ratelimit": '"api";r=10;t=55'}, None),
        ({}, None),
    ],
)
def test_the_wait_that_the_hub_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


async def test_a_hub_that_is_not_there_is_named(opened: Open) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with opened(endpoint=f"http://127.0.0.1:{port}") as service:
        with pytest.raises(HubUnavailable, match="cannot be reached"):
            await service.search(HubQuery())
        state = await pulled(service, NAME)
    assert state.error is not None and state.error.retryable and "HF_ENDPOINT" in state.error.fix


async def test_offline_nothing_is_asked(hub: HubServer, opened: Open, model: str) -> None:
    async with opened(offline=True) as service:
        state = await pulled(service, NAME)
        with pytest.raises(HubUnavailable, match="offline"):
            await service.search(HubQuery())
    assert state.error is not None and "offline" in state.error.what
    assert hub.requests == []


async def test_a_redirect_to_another_host_is_not_followed(hub: HubServer, opened: Open, model: str) -> None:
    with HubServer() as elsewhere:
        hub.storage = elsewhere.endpoint
        async with opened(token="hf_good") as service:
            state = await pulled(service, NAME)
        assert state.error is not None and state.error.code == PullFailed.code
        assert "hub.download_hosts" in state.error.fix
        assert elsewhere.requests == []


async def test_a_host_that_the_settings_name_serves_files_and_never_sees_the_token(
    hub: HubServer, opened: Open, model: str
) -> None:
    with HubServer() as elsewhere:
        elsewhere.add(NAME, {"model-Q4_K_M.gguf": noise(10_000)})
        hub.storage = elsewhere.endpoint
        async with opened(token="hf_good", download_hosts=(f"127.0.0.1:{elsewhere.port}",)) as service:
            state = await pulled(service, NAME)
        assert state.stage == "done", state.error
        assert [request.headers.get("authorization") for request in elsewhere.requests] == [None]
    assert all(request.headers["authorization"] == "Bearer hf_good" for request in hub.requests)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:9/x",
        "http://127.0.0.1:9\\@hf.co/x",
        "https://hf.co@127.0.0.1/x",
        "https://user:word@cdn-lfs.hf.co/x",
        "//127.0.0.1:9/x",
        "https://[::1]/x",
        "https://2130706433/x",
        "https://evilhf.co/x",
        "https://hf.co.evil.com/x",
        "https://huggingface.co.evil.com/x",
        "https://cdn-lfs.hf.co#@evil.com\\/x",
        "http://cdn-lfs.hf.co/x",
        "file:///etc/passwd",
        "ftp://hf.co/x",
        "javascript:alert(1)",
        "https://hf.co/\r\nX-Evil: 1",
        "https://hf.co:abc/x",
        "https://" + "a" * 20_000,
    ],
)
def test_hostile_redirects_are_refused(location: str) -> None:
    access = Access(cache=Path("/nowhere"))
    with pytest.raises(PullFailed):
        addresses.redirected(access, httpx2.URL(DEFAULT_ENDPOINT + "/org/name/resolve/main/x"), location)


@given(
    st.text(max_size=80)
    | st.builds(
        "{}://{}{}{}".format,
        st.sampled_from(["https", "http", "HTTPS", "ftp", ""]),
        st.sampled_from(["", "u@", "hf.co@", "a:b@", "%40", "\\\\", "[", "xn--"]),
        st.sampled_from(
            ["hf.co", "cdn.hf.co", "evilhf.co", "127.0.0.1", "[::1]", "hf.co.evil.com", "HF.CO."]
        ),
        st.sampled_from(["/x", ":9/x", ":99999999/x", "?x", "#x", "\\@evil.com/", ":", ""]),
    )
)
def test_whatever_is_followed_is_a_host_of_the_hub(location: str) -> None:
    access = Access(cache=Path("/nowhere"))
    try:
        url = addresses.redirected(
            access, httpx2.URL(DEFAULT_ENDPOINT + "/org/name/resolve/main/x"), location
        )
    except PullFailed:
        return
    host = url.raw_host.decode()
    assert url.scheme == "https" and not url.userinfo
    assert host.rstrip(".") in addresses.FAMILY or host.rstrip(".").endswith((".hf.co", ".huggingface.co"))


@pytest.mark.parametrize(
    ("location", "sees"),
    [
        ("/api/resolve-cache/models/org/name/x", True),
        ("https://huggingface.co/other/name/resolve/main/x", True),
        ("https://cdn-lfs-us-1.hf.co/repos/aa/bb?Signature=x~y", False),
        ("https://cas-bridge.xethub.hf.co/xet-bridge-us/x", False),
        ("https://cdn-lfs.huggingface.co/x", False),
        ("https://huggingface.co:8443/x", False),
    ],
)
def test_the_hubs_own_redirects_are_followed(location: str, sees: bool) -> None:
    access = Access(cache=Path("/nowhere"), token="hf_x")
    url = addresses.redirected(access, httpx2.URL(DEFAULT_ENDPOINT + "/org/name/resolve/main/x"), location)
    assert addresses.sees_token(url, access) is sees


def test_the_variables_of_the_hugging_face_libraries_are_obeyed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "hf").mkdir(parents=True)
    (home / "hf" / "token").write_text("hf_of_file\n")
    at = {"HOME": str(home)}
    plain = access_of(Settings(), at)
    assert (plain.endpoint, plain.token, plain.offline) == (DEFAULT_ENDPOINT, None, False)
    assert plain.cache == home / ".cache/huggingface/hub"
    said = access_of(
        Settings(), {**at, "HF_HOME": "~/hf", "HF_ENDPOINT": "http://mirror:1/", "HF_HUB_OFFLINE": "1"}
    )
    assert (said.endpoint, said.token, said.offline) == ("http://mirror:1", "hf_of_file", True)
    assert said.cache == home / "hf/hub"
    assert access_of(Settings(), {**at, "HF_HOME": "~/hf", "HF_TOKEN": " hf_own\n"}).token == "hf_own"
    quiet = {**at, "HF_HOME": "~/hf", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    assert access_of(Settings(), quiet).token is None
    assert cache_folder({**at, "HF_HUB_CACHE": "$HOME/x", "HF_HOME": "~/hf"}).name == "x"
    assert cache_folder({**at, "XDG_CACHE_HOME": "/xdg"}) == Path("/xdg/huggingface/hub")
    settings = Settings(hub=Hub(endpoint="https://own", offline=True))
    own = access_of(settings, {**at, "HF_ENDPOINT": "http://mirror"})
    assert (own.endpoint, own.offline) == ("https://own", True)


@pytest.mark.parametrize(
    "endpoint", ["ftp://x", "https://user@x", "https://x?y", "javascript:x", "https://x\\y"]
)
def test_an_endpoint_that_is_none_is_a_wrong_setting(endpoint: str) -> None:
    with pytest.raises(HearthError, match="HF_ENDPOINT"):
        access_of(Settings(), {"HF_ENDPOINT": endpoint})


def test_a_token_is_shown_nowhere() -> None:
    access = Access(cache=Path("/x"), token="hf_secretsecretsecret")
    assert "secret" not in repr(access) and "secret" not in str(replace(access, offline=True))


async def test_a_token_that_no_header_can_hold_is_none(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"hf_x\r\nX-Evil: 1\x00")
    assert access_of(Settings(), {"HF_TOKEN_PATH": str(tmp_path / "token"), "HOME": "/"}).token is None
    assert QUICK.tries > 1

"""Fetching from addresses: what may be asked over real sockets, and that nothing else is ever connected to."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.media.addresses import is_public
from engine.media.fetch import Fetcher, allowed, resolve
from engine.settings import Media
from tests.engine.media.pictures import encoded, quarters
from tests.engine.media.servers import Names, Served, loopback_fetcher, says, serving
from tests.tiers import examples

PNG = encoded(quarters())
TRUST = ssl.create_default_context()
"""Made once: reading the certificates takes longer than most of these tests."""


def own_addresses() -> list[str]:
    """This machine's IPv4 addresses beside loopback."""
    found = [each for addresses in psutil.net_if_addrs().values() for each in addresses]
    return [
        each.address
        for each in found
        if each.family == socket.AF_INET and not each.address.startswith("127.")
    ]


PAYLOADS = [
    "http://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0x0.0x0.0x1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127.0.0.1:{port}\\@hf.co/",
    "http://hf.co\\@127.0.0.1:{port}/",
    "http://hf.co@127.0.0.1:{port}/",
    "http://hf.co:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@hf.co/",
    "http://127.0.0.1:{port}?@hf.co/",
    "http:///127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/\r\nHost: hf.co",
    "http://127.0.0.1\t:{port}/",
    " http://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "///127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET",
    "ws://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "file://127.0.0.1:{port}/etc/passwd",
    "data:image/png;base64,AAAA",
    "127.0.0.1:{port}",
    "",
]


async def test_no_payload_reaches_this_machine() -> None:
    """All interfaces listen, the port is allowed, the resolver is the system's: only the address can refuse."""
    async with serving(says(PNG), host=["0.0.0.0"]) as served:
        fetcher = Fetcher(Media(allow_urls=True, url_ports=(served.port,)))
        own = [f"http://{address}:{{port}}/" for address in own_addresses()]
        for payload in PAYLOADS + own:
            with pytest.raises(InvalidRequest) as caught:
                await fetcher.fetch(payload.format(port=served.port), "images[0]")
            assert caught.value.param == "images[0]"
        assert served.hits == 0
        # It would have been reached.
        assert await loopback_fetcher(served).fetch(served.url(), "images[0]") == PNG
        assert served.hits == 1


async def test_no_payload_reaches_this_machine_over_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        async with serving(says(PNG), host="::1") as served:
            fetcher = Fetcher(Media(allow_urls=True, url_ports=(served.port,)))
            for payload in PAYLOADS:
                with pytest.raises(InvalidRequest):
                    await fetcher.fetch(payload.format(port=served.port), "x")
            assert served.hits == 0
    except OSError:
        pytest.skip("no IPv6 loopback here")


async def test_no_redirect_reaches_this_machine() -> None:
    """The first address is let through once; what it points to is judged as in earnest."""
    async with serving(says(PNG), host=["0.0.0.0"]) as inside:
        for payload in PAYLOADS:
            location = payload.format(port=inside.port)
            if location.isascii() and location.isprintable():
                await _redirected("302 Found", location, inside)
        for status in ("301 Moved", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"):
            await _redirected(status, inside.url(host="127.0.0.1"), inside)
        assert inside.hits == 0


async def _redirected(status: str, location: str, inside: Served) -> None:
    first = True

    def once(address: str) -> bool:
        nonlocal first
        passes, first = first, False
        return passes or allowed(address)

    async def names(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "pictures.test" else await resolve(host, port)

    async with serving(says(b"", status, Location=location)) as outside:
        media = Media(allow_urls=True, url_ports=(80, outside.port, inside.port))
        with pytest.raises(InvalidRequest):
            await Fetcher(media, resolve=names, allowed=once, trust=TRUST).fetch(outside.url(), "x")
        assert outside.hits == 1


async def test_a_name_is_resolved_once_and_that_address_is_asked() -> None:
    """DNS rebinding: the second answer, which would do harm, is never asked for."""
    async with serving(says(PNG)) as served:
        names = Names(pictures_test=[["127.0.0.1"], ["127.0.0.66"]])
        fetcher = loopback_fetcher(served, names)
        assert await fetcher.fetch(served.url("/a?b=c#d"), "x") == PNG
        assert names.asked == ["pictures.test"]
        head = served.heads[0]
        assert head.startswith("GET /a?b=c HTTP/1.1\r\n")
        assert f"\r\nhost: pictures.test:{served.port}\r\n" in head.lower()
        assert "cookie" not in head.lower() and "authorization" not in head.lower()
        with pytest.raises(InvalidRequest, match="not on the public internet"):
            await fetcher.fetch(served.url(), "x")


async def test_one_address_that_is_not_public_spoils_the_name() -> None:
    async with serving(says(PNG)) as served:
        for answers in (["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["::1", "127.0.0.1"]):
            fetcher = loopback_fetcher(served, Names(pictures_test=[answers]))
            with pytest.raises(InvalidRequest, match="public") as caught:
                await fetcher.fetch(served.url(), "x")
            # What a name means inside a network is nobody's business outside.
            assert not any(address in str(caught.value) for address in answers)
        assert served.hits == 0


async def test_the_next_address_is_tried_where_one_is_deaf() -> None:
    async with serving(says(PNG)) as served:
        fetcher = Fetcher(
            Media(allow_urls=True, url_ports=(served.port,)),
            resolve=Names(pictures_test=[["127.0.0.77", "127.0.0.1"]]),
            allowed=lambda address: address.startswith("127.0.0."),
        )
        assert await fetcher.fetch(served.url(), "x") == PNG


async def test_nothing_is_asked_unless_allowed() -> None:
    names = Names(pictures_test=[["127.0.0.1"]])
    fetcher = Fetcher(Media(), resolve=names, allowed=lambda address: True)
    with pytest.raises(InvalidRequest, match=r"media\.allow_urls"):
        await fetcher.fetch("http://pictures.test/", "x")
    assert names.asked == []


async def test_hosts_and_ports_as_the_settings_say() -> None:
    async with serving(says(PNG)) as served:
        only = loopback_fetcher(served, url_hosts=("Pictures.Test",))
        assert await only.fetch(served.url(host="PICTURES.test"), "x") == PNG
        for host in ("other.test", "pictures.test.other.test", "apictures.test", "127.0.0.1"):
            with pytest.raises(InvalidRequest, match=r"media\.url_hosts"):
                await only.fetch(served.url(host=host), "x")
        with pytest.raises(InvalidRequest, match=r"Port 80 is not among media\.url_ports"):
            await only.fetch("http://pictures.test/", "x")
        assert served.hits == 1


async def test_redirects_are_followed_three_times() -> None:
    async def hop(served: Served, path: str, writer: asyncio.StreamWriter) -> None:
        left = int(path.rpartition("/")[2])
        # By path alone, then by the whole address.
        onward = f"/{left - 1}" if left % 2 else served.url(f"/{left - 1}")
        await (says(PNG) if left == 0 else says(b"", "302 Found", Location=onward))(served, path, writer)

    async with serving(hop) as served:
        fetcher = loopback_fetcher(served)
        assert await fetcher.fetch(served.url("/3"), "x") == PNG
        assert served.hits == 4
        with pytest.raises(InvalidRequest, match="more than 3 times"):
            await fetcher.fetch(served.url("/4"), "x")
        assert served.hits == 8


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_is_read_no_further_than_its_limit(declared: bool) -> None:
    sent = 0

    async def endless(served: Served, path: str, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(
            b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 99999999\r\n" if declared else b"") + b"\r\n"
        )
        while True:
            writer.write(bytes(65536))
            sent += 65536
            await writer.drain()

    async with serving(endless) as served:
        with pytest.raises(InvalidRequest, match=r"more than 100 KiB \(media\.max_bytes\)"):
            await loopback_fetcher(served, max_bytes=100 * 1024).fetch(served.url(), "x")
    assert sent < 50_000_000


@pytest.mark.parametrize("silent", ["before the head", "in the head", "in the body"])
async def test_a_slow_server_is_left(silent: str) -> None:
    async def drip(served: Served, path: str, writer: asyncio.StreamWriter) -> None:
        if silent == "in the body":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while silent != "before the head":
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.02)
        await asyncio.sleep(60)

    async with serving(drip) as served:
        with pytest.raises(InvalidRequest, match="could not be fetched") as caught:
            await loopback_fetcher(served, url_seconds=0.2).fetch(served.url(), "x")
        if silent != "in the head":
            assert "longer than 0.2 s" in caught.value.why


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says(b"no", "404 Not Found"), "The answer was 404"),
        (says(b"", "302 Found"), "The answer was 302"),
        (says(PNG, "206 Partial Content"), "The answer was 206"),
        (says(PNG, Content_Encoding="gzip"), "compressed"),
        (says(PNG[:50], Content_Length="5000"), "connection failed"),
        (says(PNG, "nonsense"), "connection failed"),
        (says(PNG, Content_Length="-5"), "connection failed"),
    ],
)
async def test_what_is_no_good_answer_is_refused(answer: object, words: str) -> None:
    async with serving(answer) as served:  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match=words):
            await loopback_fetcher(served).fetch(served.url(), "x")


async def test_an_unknown_host_and_a_closed_port() -> None:
    async with serving(says(PNG)) as served:
        fetcher = loopback_fetcher(served)
        with pytest.raises(InvalidRequest, match="not known"):
            await fetcher.fetch(served.url(host="nowhere.test"), "x")
    with pytest.raises(InvalidRequest, match="connection failed"):
        await fetcher.fetch(served.url(), "x")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(says(b"no")) as proxy, serving(says(PNG)) as served:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await loopback_fetcher(served).fetch(served.url(), "x") == PNG
        assert proxy.hits == 0


async def test_the_certificate_is_that_of_the_name(tmp_path: Path) -> None:
    """The connection goes to an address, TLS is spoken with the name."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = f"""req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=pictures.test
        -addext subjectAltName=DNS:pictures.test -keyout {key} -out {cert}"""
    made = await asyncio.create_subprocess_exec(
        openssl, *words.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert await made.wait() == 0
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    trust = ssl.create_default_context(cafile=str(cert))
    async with serving(says(PNG), tls=tls) as served:
        for context, host, works in (
            (trust, "pictures.test", True),
            (trust, "other.test", False),
            (None, "pictures.test", False),
        ):
            fetcher = Fetcher(
                Media(allow_urls=True, url_ports=(served.port,)),
                resolve=Names(pictures_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]]),
                allowed=lambda address: True,
                trust=context,
            )
            url = served.url(host=host, scheme="https")
            if works:
                assert await fetcher.fetch(url, "x") == PNG
            else:
                with pytest.raises(InvalidRequest, match="connection failed"):
                    await fetcher.fetch(url, "x")


@given(
    st.text(max_size=60)
    | st.builds(
        lambda a, b, c: f"{a}://{b}{c}", st.sampled_from(["http", "https", "file", ""]), st.text(), st.text()
    )
)
@settings(max_examples=examples(200))
def test_no_text_does_worse_than_to_be_refused(url: str) -> None:
    asked: list[str] = []

    async def nothing(host: str, port: int) -> list[str]:
        asked.append(host)
        assert port in (80, 443)
        return []

    async def ask() -> None:
        fetcher = Fetcher(Media(allow_urls=True), resolve=nothing, allowed=is_public, trust=TRUST)
        with pytest.raises(InvalidRequest):
            await fetcher.fetch(url, "x")

    asyncio.run(ask())
    assert all(host.isascii() for host in asked)

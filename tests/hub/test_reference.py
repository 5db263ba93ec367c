"""What people write for a model of the hub, and what cannot be one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.hub.reference import Reference, parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("org/name", Reference("org/name")),
        ("  org/name  ", Reference("org/name")),
        ("org/name:Q4_K_M", Reference("org/name", "Q4_K_M")),
        ("org/name:latest", Reference("org/name")),
        ("org/name@v1.0", Reference("org/name", "", "v1.0")),
        ("org/name@refs/pr/3", Reference("org/name", "", "refs/pr/3")),
        (f"org/name@{COMMIT}:Q8_0", Reference("org/name", "Q8_0", COMMIT)),
        ("org/name:Q8_0@v1", Reference("org/name", "Q8_0", "v1")),
        ("hf.co/org/name", Reference("org/name")),
        ("hf.co/org/name:IQ2_XXS", Reference("org/name", "IQ2_XXS")),
        ("https://huggingface.co/org/name", Reference("org/name")),
        ("https://huggingface.co/org/name/", Reference("org/name")),
        ("HuggingFace.co/org/name", Reference("org/name")),
        ("https://huggingface.co/org/name/tree/dev", Reference("org/name", "", "dev")),
        (
            "https://huggingface.co/org/name/blob/main/name-Q5_K_M.gguf",
            Reference("org/name", "name-Q5_K_M.gguf"),
        ),
        (
            "https://huggingface.co/org/name/resolve/v2/sub/name-Q5_K_M.gguf",
            Reference("org/name", "name-Q5_K_M.gguf", "v2"),
        ),
        ("Qwen/Qwen3-0.6B-GGUF", Reference("Qwen/Qwen3-0.6B-GGUF")),
        ("a/b", Reference("a/b")),
    ],
)
def test_references_are_read(text: str, found: Reference) -> None:
    assert parse(text) == found


def test_flags_say_what_the_reference_leaves_out() -> None:
    assert parse("org/name", choice="Q4_K_M", revision="v1") == Reference("org/name", "Q4_K_M", "v1")
    assert parse("org/name:Q4_K_M", choice="Q4_K_M") == Reference("org/name", "Q4_K_M")
    with pytest.raises(InvalidRequest, match="Two quantisations"):
        parse("org/name:Q4_K_M", choice="Q8_0")
    with pytest.raises(InvalidRequest, match="Two revisions"):
        parse("org/name@a", revision="b")


HOSTILE = [
    "", "/", "name", "org/", "/name", "org/name/more", "../name", "org/..", "org/../x", "../../etc/passwd", "./x",
    "org/na..me", "org/.name", ".org/name", "org/-name", "org/name.", "org/name-", "org/na--me", "org/name.git",
    "org//name", "org\\name", "org/na me", "org/na\0me", "org/na\nme", "org/name\x1b[2J", "org/[red]name[/]",
    "org/<b>", "org/nam%2e%2e", "org/nаme", "org/name:", "org/name@", "org/name@:x", "org/name:@x", "org/name:a:b",
    "org/name@a@b", "org/name:../x", "org/name:a/b", "org/name:[red]", "org/name@..", "org/name@../x", "org/name@a..b",
    "org/name@-x", "org/name@/x", "org/name@x/", "org/name@x.lock", "org/name@x y", "http://huggingface.co/org/name",
    "http://127.0.0.1:9/org/name", "https://evil.com/org/name", "ftp://hf.co/org/name", "file:///etc/passwd",
    "https://huggingface.co/org/name?x=1", "https://huggingface.co/org/name#x", "https://huggingface.co/datasets/a/b",
    "https://huggingface.co/org/name/blob/main/config.json", "https://huggingface.co/org/name/tree/main/sub",
    "https://hf.co@evil.com/org/name", "hf.co/../x", "a" * 97 + "/b", "a/" + "b" * 97, "x" * 1_000_000,
    "org/name:" + "q" * 200, "org/name@" + "r" * 200, "C:\\x", "//h/x", "~/x", "$HOME/x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:30]))
def test_what_could_leave_a_folder_or_an_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(text)
    error = refused.value
    assert error.why and error.fix and len(error.what) < 200
    assert not any(ord(character) < 32 for character in error.info.sentence())


@given(st.text(max_size=60))
def test_whatever_is_read_stays_in_its_folder(text: str) -> None:
    try:
        found = parse(text)
    except InvalidRequest:
        return
    for part in (found.folder, found.choice, *found.revision.split("/")):
        assert part not in (".", "..") and not part.startswith((".", "/")) and "\\" not in part
        assert part.isascii() and part.isprintable() and " " not in part
    assert "/" not in found.folder and "/" not in found.choice
    assert parse(str(found)) == found

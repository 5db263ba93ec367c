"""What the hub says of repositories and of their files, out of its JSON and into the engine's words.

Everything in it was written by strangers. Texts are cleaned and cut; a file whose path could leave its folder, or whose
content has no sound name, is no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from engine.errors import PullFailed
from engine.hub import addresses
from engine.hub.client import MOST_PAGES, Client
from engine.hub.reference import Reference, is_commit
from engine.library.model_folder import WIDTHS
from engine.text_safety import clean, plain
from engine.types import HubCard, HubFile, HubModel, HubQuery, Library

MOST_FILES: Final = 100_000
MOST_CARD: Final = 2 << 20
MOST_SIZE: Final = 2**50
USUAL_BITS: Final = 5
"""Bits a weight of the usual GGUF quantisation, Q4_K_M."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHA1: Final = re.compile(r"[0-9a-f]{40}")
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_ORDERS: Final = {
    "downloads": "downloads", "likes": "likes", "date": "lastModified", "trending": "trendingScore"
}  # fmt: skip
_EXPANDED: Final = (
    "downloads", "likes", "lastModified", "pipeline_tag", "library_name", "tags", "gated", "private", "gguf",
    "safetensors", "sha",
)  # fmt: skip
_FRONT: Final = re.compile(r"\A---\s*\n.*?\n---\s*(?:\n|\Z)", re.DOTALL)


class _Gguf(Struct):
    total: int = 0
    architecture: str = ""
    context_length: int = 0


class _Safetensors(Struct):
    total: int = 0
    parameters: dict[str, int] = {}
    """By the type that they are kept in."""


class _Model(Struct):
    id: str
    sha: str | None = None
    downloads: int = 0
    likes: int = 0
    last_modified: str | None = field(default=None, name="lastModified")
    pipeline_tag: str | None = None
    library_name: str | None = None
    tags: list[str] = []
    gated: bool | str = False
    private: bool = False
    gguf: Any = None
    safetensors: Any = None


class _Lfs(Struct):
    oid: str
    size: int


class _Entry(Struct):
    type: str
    path: str
    oid: str = ""
    size: int = 0
    lfs: _Lfs | None = None


class Tree(Struct, frozen=True):
    """The files of a commit; `unsafe` are names that were left out."""

    files: tuple[HubFile, ...]
    unsafe: tuple[str, ...] = ()


async def search(client: Client, query: HubQuery) -> list[HubModel]:
    """The repositories that match, in the order that was asked for, as many as asked for at most."""
    parameters: dict[str, str | Sequence[str]] = {
        "sort": _ORDERS[query.order],
        "direction": "-1",
        "limit": str(query.limit if query.most_parameters is None and not query.fits else 200),
        "expand": _EXPANDED,
    }
    filters = [query.library] if query.library is not None else []
    if filters:
        parameters["filter"] = filters
    for name, value in (("search", query.text), ("author", query.author), ("pipeline_tag", query.task)):
        if value.strip():
            parameters[name] = value.strip()
    # What is on this machine is shown as soon as it is clear that the hub does not answer.
    found, _ = await client.json(
        addresses.api(client.access, "models"), list[_Model], parameters=parameters, patient=False
    )
    models = [_model(each) for each in found if _REPOSITORY.fullmatch(each.id)]
    if query.most_parameters is not None:
        models = [each for each in models if each.parameters <= query.most_parameters]
    return models


async def model(client: Client, reference: Reference) -> tuple[HubModel, _Model]:
    """What the hub says of a repository at a revision, in the engine's words and in its own."""
    url = addresses.api(client.access, "models", reference.repository, "revision")
    found, _ = await client.json(
        f"{url}/{addresses.quoted(reference.revision)}",
        _Model,
        repository=reference.repository,
        revision=reference.revision,
        parameters={"expand": (*_EXPANDED, "cardData")},
    )
    if found.sha is None or not is_commit(found.sha):
        raise PullFailed(
            f"The hub does not say which commit {reference} is.",
            fix="Check that hub.endpoint is a model hub.",
        )
    return _model(found, reference.repository), found


async def card(client: Client, reference: Reference) -> HubCard:
    """The card of a repository: its README without the block of data before it."""
    from engine.errors import ModelNotFound, NotAllowed

    about, raw = await model(client, reference)
    url = addresses.file(client.access, reference.repository, about.commit, "README.md")
    text = ""
    try:
        body, _ = await client.body(url, MOST_CARD, repository=reference.repository, path="README.md")
        text = _FRONT.sub("", clean(body.decode("utf-8", "replace")), count=1).strip()
    except (ModelNotFound, NotAllowed):
        pass
    tags = [plain(tag, 80) for tag in raw.tags[:200]]
    based = [
        tag.removeprefix("base_model:").rpartition(":")[2] for tag in tags if tag.startswith("base_model:")
    ]
    page = f"{client.access.endpoint}/{reference.repository}"
    return HubCard(
        model=about,
        text=text,
        tags=tuple(tags),
        base=tuple(dict.fromkeys(based)),
        gate=f"Ask for access at {page}, then set HF_TOKEN to a token of that account."
        if about.gated
        else "",
    )


async def tree(client: Client, repository: str, commit: str) -> Tree:
    """Every file of a commit, page after page."""
    url = addresses.api(client.access, "models", repository, "tree", commit)
    parameters: dict[str, str | Sequence[str]] = {"recursive": "true", "expand": "false"}
    files: dict[str, HubFile] = {}
    unsafe: list[str] = []
    for _ in range(MOST_PAGES):
        entries, following = await client.json(
            url, list[_Entry], repository=repository, revision=commit, parameters=parameters
        )
        parameters = {}
        for entry in entries:
            if entry.type != "file":
                continue
            found = _file(entry)
            if found is None:
                unsafe.append(plain(entry.path, 80))
            else:
                files[found.path] = found
        if following is None:
            return Tree(tuple(files.values()), tuple(unsafe[:100]))
        url = following
        if len(files) > MOST_FILES:
            break
    raise PullFailed(f"{repository} has too many files.", f"More than {MOST_FILES}, or pages without end.")


def is_safe(path: str) -> bool:
    """Whether `path` names a file below a folder on any system, and can be shown."""
    parts = path.split("/")
    return (
        0 < len(path) <= 1000
        and path == plain(path)
        and not any(mark in path for mark in '\\:*?"<>|')
        and all(part not in ("", ".", "..") and len(part.encode()) <= 240 for part in parts)
        and not any(part.endswith((" ", ".")) for part in parts)
    )


def _file(entry: _Entry) -> HubFile | None:
    if not is_safe(entry.path):
        return None
    sha256 = entry.lfs.oid.removeprefix("sha256:") if entry.lfs is not None else ""
    etag = sha256 or entry.oid
    size = entry.lfs.size if entry.lfs is not None else entry.size
    sound = _SHA256 if entry.lfs is not None else _SHA1
    if not sound.fullmatch(etag) or not 0 <= size <= MOST_SIZE:
        return None
    return HubFile(path=entry.path, size=size, etag=etag, sha256=sha256)


def _model(said: _Model, name: str | None = None) -> HubModel:
    gguf, safetensors = _part(said.gguf, _Gguf), _part(said.safetensors, _Safetensors)
    tags = {tag.lower() for tag in said.tags}
    licence = next((tag[8:] for tag in said.tags if tag.startswith("license:")), "")
    return HubModel(
        id=name or said.id,
        downloads=max(0, said.downloads),
        likes=max(0, said.likes),
        modified=plain(said.last_modified or "", 40),
        task=plain(said.pipeline_tag or "", 60),
        libraries=tuple(_libraries(tags, plain(said.library_name or "", 40).lower())),
        licence=plain(licence, 60),
        gated=bool(said.gated),
        private=said.private,
        parameters=max(0, gguf.total or safetensors.total),
        size=_weights(gguf, safetensors),
        architecture=plain(gguf.architecture, 60),
        context=max(0, gguf.context_length),
        commit=said.sha if said.sha and is_commit(said.sha) else "",
    )


def _weights(gguf: _Gguf, safetensors: _Safetensors) -> int:
    """Bytes of the weights, as far as parameters tell it."""
    if gguf.total > 0:
        return min(gguf.total, MOST_SIZE) * USUAL_BITS // 8
    by_type = safetensors.parameters or {"BF16": safetensors.total}
    return sum(WIDTHS.get(kind, 2) * min(max(0, count), MOST_SIZE) for kind, count in by_type.items())


def _part(said: Any, kind: type[Any]) -> Any:
    """A part of the answer that may be missing, or be something else than it should."""
    try:
        return msgspec.convert(said if said is not None else {}, kind)
    except msgspec.ValidationError:
        return kind()


def _libraries(tags: set[str], library: str) -> Iterator[Library]:
    if "gguf" in tags:
        yield "gguf"
    if "mlx" in tags or library == "mlx":
        yield "mlx"
    if "safetensors" in tags:
        yield "safetensors"

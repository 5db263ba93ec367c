"""The cache that all Hugging Face programs share: what is in it, what nobody needs, what a deletion frees.

What is in it is read by the library whose cache it is (`scan_cache_dir`), and its deletions are the library's too, so
that its newer habits (blobs shared by repositories) hold. Beside that: partial downloads, blobs that no revision uses,
and that nothing is deleted which a model in memory, or another program, has open. Disk work: not for an event loop.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from engine.errors import InvalidRequest, ModelNotFound, ModelUnavailable, StorageFailed
from engine.hub.disk import explained
from engine.hub.in_use import holders
from engine.hub.partial import JOURNAL, SUFFIX
from engine.hub.reference import Reference
from engine.library.gguf_parts import PART
from engine.library.quantisations import label_of
from engine.settings import show_size
from engine.text_safety import plain
from engine.types import CachedFile, CachedRepository, CachedRevision, CacheScan, Freed

if TYPE_CHECKING:
    from huggingface_hub import CachedFileInfo, CachedRepoInfo, HFCacheInfo

STALE: Final = 24 * 3600.0
"""Seconds after which a partial download that nobody continues counts as left behind."""
_RECENT: Final = 600.0
"""A blob that came so lately may be about to be shown by the program that fetched it."""


class Loaded(Struct, frozen=True):
    """Models in memory: path of the file or folder by name."""

    paths: Mapping[str, str] = {}


def scan(cache: Path, loaded: Loaded) -> CacheScan:
    """Everything in the cache. Raises StorageFailed."""
    info = _info(cache)
    if info is None:
        return CacheScan(path=str(cache))
    repositories = [_repository(repo, loaded) for repo in info.repos]
    return CacheScan(
        path=str(cache),
        size=info.size_on_disk + sum(each.partial + each.unreferenced for each in repositories),
        repositories=tuple(sorted(repositories, key=lambda each: (-each.size, each.id))),
        broken=tuple(sorted(plain(str(warning), 300) for warning in info.warnings)),
    )


def prune(cache: Path, *, dry_run: bool, age: float = STALE) -> Freed:
    """Delete blobs that no revision uses, and partial downloads that nobody has touched for `age` seconds.

    Raises StorageFailed.
    """
    info = _info(cache)
    if info is None:
        return Freed()
    now = time.time()
    open_elsewhere = holders(
        {os.path.realpath(path) for repo in info.repos for path in _partials(repo.repo_path)}
    )
    size, files, what = 0, 0, []
    for repo in sorted(info.repos, key=lambda repo: repo.repo_id):
        unused = [path for path in _unreferenced(repo) if now - _changed(path) > min(age, _RECENT)]
        stale = [
            path
            for path in _partials(repo.repo_path)
            if now - _changed(path) > age and os.path.realpath(path) not in open_elsewhere
        ]
        for paths, words in ((unused, "blobs that nothing uses"), (stale, "unfinished downloads")):
            if paths:
                freed = sum(_taken(path) for path in paths)
                size, files = size + freed, files + len(paths)
                what.append(f"{plain(repo.repo_id, 100)}: {show_size(freed)} of {words}")
                if not dry_run:
                    _unlink(cache, paths)
    return Freed(size=size, files=files, what=tuple(what))


def delete(cache: Path, reference: Reference, loaded: Loaded, *, dry_run: bool) -> Freed:
    """Delete a repository's files, or those of one quantisation or revision of it.

    Raises ModelNotFound, ModelUnavailable for one that is in memory or open elsewhere, StorageFailed.
    """
    info = _info(cache)
    repo = next(
        (
            repo
            for repo in (info.repos if info is not None else ())
            if repo.repo_type == "model" and repo.repo_id.lower() == reference.repository.lower()
        ),
        None,
    )
    if info is None or repo is None:
        raise _absent(reference, "The cache has nothing of that repository.")
    if not _is_inside(repo.repo_path, cache):
        raise InvalidRequest(
            f"{reference} is not deleted.",
            f"{repo.repo_path} is a link to a folder outside the cache.",
            "Delete it by hand.",
        )
    chosen = _chosen(repo, reference)
    # Whoever names one quantisation does not mean what is half fetched of another.
    spared = bool(reference.choice and _partials(repo.repo_path))
    _check_unused(reference, chosen, [] if spared else _partials(repo.repo_path), loaded)
    if not repo.revisions:
        return _without_revisions(repo, cache, dry_run=dry_run)
    if not spared and len(chosen) == sum(len(revision.files) for revision in repo.revisions):
        strategy = info.delete_revisions(*(revision.commit_hash for revision in repo.revisions))
        extra = sum(_taken(path) for path in [*_unreferenced(repo), *_partials(repo.repo_path)])
        what = f"{repo.repo_id}: all of it"
    else:
        strategy, extra = info.delete_files(*chosen), 0
        what = f"{repo.repo_id}: " + ", ".join(sorted(_shown(file) for file in chosen))
    if not dry_run:
        with explained(cache):
            strategy.execute()
            for revision in repo.revisions:
                _drop_empty(revision.snapshot_path)
            _drop_without_snapshots(repo)
    return Freed(size=strategy.expected_freed_size + extra, files=len(chosen), what=(plain(what, 400),))


def _info(cache: Path) -> HFCacheInfo | None:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        with explained(cache):
            return scan_cache_dir(cache)
    except CacheNotFound:
        return None
    except ValueError as error:
        raise StorageFailed(f"The model cache at {cache} cannot be read.", f"{error}.") from None


def _repository(repo: CachedRepoInfo, loaded: Loaded) -> CachedRepository:
    real = os.path.realpath(repo.repo_path)
    revisions = sorted(repo.revisions, key=lambda each: -each.last_modified)
    return CachedRepository(
        id=plain(repo.repo_id, 200),
        kind=repo.repo_type,
        path=str(repo.repo_path),
        size=repo.size_on_disk,
        used=repo.last_accessed,
        modified=repo.last_modified,
        revisions=tuple(
            CachedRevision(
                commit=plain(revision.commit_hash, 60),
                refs=tuple(sorted(plain(ref, 100) for ref in revision.refs)),
                size=revision.size_on_disk,
                files=tuple(
                    CachedFile(
                        path=plain(str(file.file_path.relative_to(revision.snapshot_path)), 300),
                        size=file.size_on_disk,
                        blob=plain(file.blob_path.name, 80),
                    )
                    for file in sorted(revision.files, key=lambda file: file.file_path)
                ),
            )
            for revision in revisions
        ),
        loaded=any(_is_inside(Path(path), Path(real)) for path in loaded.paths.values()),
        partial=sum(_taken(path) for path in _partials(repo.repo_path)),
        unreferenced=sum(_taken(path) for path in _unreferenced(repo)),
    )


def _chosen(repo: CachedRepoInfo, reference: Reference) -> list[CachedFileInfo]:
    """The files of the repository that the reference means. A projector stays while a quantisation does."""
    revisions = [
        revision
        for revision in repo.revisions
        if reference.revision in ("main", revision.commit_hash, *revision.refs)
    ]
    every = [file for revision in revisions for file in revision.files]
    if not reference.choice:
        if not every and repo.revisions:
            raise _absent(
                reference,
                f"The revisions here: {', '.join(sorted(r.commit_hash[:7] for r in repo.revisions))}.",
            )
        return every
    wanted = reference.choice.lower().removesuffix(".gguf")
    ggufs = [file for file in every if file.file_name.lower().endswith(".gguf")]
    models = [file for file in ggufs if "mmproj" not in file.file_name.lower()]

    found = [file for file in models if wanted in (file.file_name[:-5].lower(), _stem(file).lower())]
    if not found:
        found = [file for file in models if wanted == _label(file).lower()]
        several = sorted({_stem(file) for file in found})
        if len(several) > 1:
            raise InvalidRequest(
                f"{reference} means several models.",
                f"Here are: {', '.join(plain(stem, 100) for stem in several)}.",
                "Name one of these behind the colon.",
                param="model",
            )
    if not found:
        here = sorted({_label(file) or _stem(file) for file in models})
        raise _absent(reference, f"Here are: {', '.join(here) or 'no GGUF files'}.")
    if len(found) == len(models) and not any(file.file_name.endswith(".safetensors") for file in every):
        return every
    return found


def _stem(file: CachedFileInfo) -> str:
    """The name of a GGUF file without its suffix and, of a split one, without the number of the part."""
    part = PART.match(file.file_name[:-5])
    return part["stem"] if part else file.file_name[:-5]


def _label(file: CachedFileInfo) -> str:
    return label_of(_stem(file)) or label_of(file.file_path.parent.name)


def _without_revisions(repo: CachedRepoInfo, cache: Path, *, dry_run: bool) -> Freed:
    """Delete what unfinished downloads left of a repository of which nothing is complete."""
    paths = list(_blobs(repo.repo_path))
    size = sum(_taken(path) for path in paths)
    if not dry_run:
        with explained(cache):
            shutil.rmtree(repo.repo_path)
    return Freed(size=size, files=len(paths), what=(f"{plain(repo.repo_id, 100)}: unfinished downloads",))


def _check_unused(
    reference: Reference, files: Sequence[CachedFileInfo], partials: Sequence[Path], loaded: Loaded
) -> None:
    paths = {os.path.realpath(file.file_path) for file in files}
    folders = {os.path.realpath(file.file_path.parent) for file in files}
    for name, path in loaded.paths.items():
        if os.path.realpath(path) in paths or (os.path.isdir(path) and os.path.realpath(path) in folders):
            raise ModelUnavailable(
                f"{reference} is in memory and is not deleted.",
                f"{plain(name, 100)} is loaded from it.",
                "Unload it first.",
                param="model",
            )
    held = set(holders(paths | {os.path.realpath(path) for path in partials}).values())
    if held:
        raise ModelUnavailable(
            f"{reference} is in use and is not deleted.",
            f"Open in: {', '.join(sorted(held))}.",
            "Unload it there first.",
            param="model",
        )


def _absent(reference: Reference, why: str) -> ModelNotFound:
    return ModelNotFound(
        f"{reference} is not in the cache.",
        plain(why, 300),
        "`hearth cache scan` lists what is.",
        param="model",
    )


def _unreferenced(repo: CachedRepoInfo) -> list[Path]:
    used = {file.blob_path for revision in repo.revisions for file in revision.files}
    used |= {Path(os.path.abspath(path)) for path in used}
    # Where links are impossible a blob may be the same file as the one that is shown.
    return [
        path
        for path in _blobs(repo.repo_path)
        if not _is_partial(path) and path not in used and _names_of(path) == 1
    ]


def _names_of(path: Path) -> int:
    """How many names a file has; 0 if it has just gone."""
    try:
        return path.lstat().st_nlink
    except OSError:
        return 0


def _partials(folder: Path) -> list[Path]:
    return [path for path in _blobs(folder) if _is_partial(path)]


def _blobs(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted((folder / "blobs").iterdir())


def _is_partial(path: Path) -> bool:
    return path.name.endswith((SUFFIX, JOURNAL, ".incomplete"))


def _shown(file: CachedFileInfo) -> str:
    return f"{plain(file.file_name, 120)} ({show_size(file.size_on_disk)})"


def _taken(path: Path) -> int:
    """Bytes on the disk: an unfinished file has holes."""
    try:
        facts = path.lstat()
    except OSError:
        return 0
    return min(facts.st_size, facts.st_blocks * 512)


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return time.time()


def _unlink(cache: Path, paths: Iterable[Path]) -> None:
    with explained(cache):
        for path in paths:
            if _is_inside(path.parent, cache):
                path.unlink(missing_ok=True)


def _drop_empty(snapshot: Path) -> None:
    """Remove folders of a revision that hold nothing any more."""
    for place, _, _ in os.walk(snapshot, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(place)


def _drop_without_snapshots(repo: CachedRepoInfo) -> None:
    """Remove the refs of revisions that are gone: others take a ref without its revision for damage."""
    gone = {revision.commit_hash for revision in repo.revisions if not revision.snapshot_path.exists()}
    for revision in repo.revisions:
        if revision.commit_hash in gone:
            for ref in revision.refs:
                (repo.repo_path / "refs" / ref).unlink(missing_ok=True)


def _is_inside(path: Path, folder: Path) -> bool:
    real = os.path.realpath(folder)
    return os.path.commonpath([os.path.realpath(path), real]) == real

"""Which files of a repository are the right ones: a GGUF quantisation with all that belongs to it, or the model folder.

Of GGUF: every part of a split file, and the projector beside it. Of a folder: configuration, tokenizer, templates and
the safetensors files that the index names, or that loaders look for. Never pickles, which run code; never second copies
of the same weights (`original/`, `consolidated`, other frameworks'), and no programs but those that are trusted. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from engine.errors import ModelNotFound, Unsupported
from engine.library.gguf_parts import MOST_PARTS, PART
from engine.library.quantisations import label_of, rank
from engine.text_safety import plain
from engine.types import HubFile, Library, Quantisation

_PROJECTORS: Final = ("F16", "BF16", "Q8_0", "F32")
_PICKLED: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_SMALL: Final = re.compile(
    r"(?:config|generation_config|preprocessor_config|processor_config|video_preprocessor_config|tokenizer|"
    r"tokenizer_config|special_tokens_map|added_tokens|vocab|merges|chat_template|model\.safetensors\.index|"
    r"sentencepiece\.bpe|spiece|spm|tekken|modules|config_sentence_transformers|sentence_bert_config)"
    r"\.(?:json|jinja|model|txt)|[\w.-]+\.tiktoken|LICENSE(?:\.(?:md|txt))?|README\.md|params\.json",
    re.IGNORECASE,
)
_TEMPLATES: Final = re.compile(
    r"(?:additional_chat_templates|1_Pooling|2_Dense|2_Normalize)/[\w.-]+\.(?:json|jinja)"
)
_SHARD: Final = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.safetensors")
MOST_SMALL: Final = 64 << 20
"""A file beside the weights that is larger is not fetched."""
FOLDER: Final = "safetensors"


def quantisations(
    files: Sequence[HubFile],
    index: Mapping[str, str] | None = None,
    *,
    mlx: bool = False,
    code: bool = False,
) -> list[Quantisation]:
    """Every form in which the model can be pulled, the smallest first. `index` is the folder's index of weights.

    With `code` a folder's Python files belong to it: somebody has read them and trusts this revision.
    """
    found = _gguf(files)
    folder = _folder(files, index, "mlx" if mlx else "safetensors", code=code)
    if folder is not None:
        found.append(folder)
    return sorted(found, key=lambda each: (each.weights, each.name))


def chosen(
    repository: str, offered: Sequence[Quantisation], choice: str, files: Sequence[HubFile]
) -> Quantisation:
    """The one that `choice` names, or that is best unasked. Raises ModelNotFound, and Unsupported for pickles alone."""
    if not offered:
        raise _nothing(repository, files)
    if choice:
        wanted = choice.lower().removesuffix(".gguf")
        for each in offered:
            names = {each.name.lower(), each.format}
            names |= {file.path.rpartition("/")[2].lower().removesuffix(".gguf") for file in each.files}
            if wanted in names:
                return each
        near = [each for each in offered if each.name.lower().endswith("-" + wanted)]
        if len(near) == 1:
            return near[0]
        raise ModelNotFound(
            f"{repository} has no quantisation {plain(choice, 60)!r}.",
            f"It has {', '.join(plain(each.name, 60) for each in offered[:24])}.",
            "Choose one of these.",
            param="quantisation",
        )
    return next((each for each in offered if each.recommended), None) or best(offered)


def best(offered: Sequence[Quantisation]) -> Quantisation:
    """The one that is taken unasked: among what fits as far as that is known, the usual one, or the next to it."""
    able = [each for each in offered if each.verdict == "fits"]
    able = able or [each for each in offered if each.verdict == "tight"]
    able = able or [each for each in offered if each.verdict == "unknown"]
    if not able:
        return min(offered, key=lambda each: each.weights)
    return min(able, key=lambda each: (each.format != "gguf", *rank(label_of(each.name), each.weights)))


def _gguf(files: Sequence[HubFile]) -> list[Quantisation]:
    groups: dict[str, list[HubFile]] = {}
    projectors: list[HubFile] = []
    for file in files:
        folder, _, name = file.path.rpartition("/")
        if not name.lower().endswith(".gguf"):
            continue
        stem = name[:-5]
        if "mmproj" in stem.lower():
            projectors.append(file)
        elif "imatrix" not in stem.lower() and not re.search(r"(?:^|[-_.])lora(?:$|[-_.])", stem.lower()):
            part = PART.match(stem)
            groups.setdefault(f"{folder}/{part['stem']}" if part else f"{folder}/{stem}", []).append(file)
    complete = {
        stem: sorted(group, key=lambda file: file.path) for stem, group in groups.items() if _whole(group)
    }
    labels = [label_of(stem.rpartition("/")[2]) or label_of(stem) for stem in complete]
    found = []
    for (stem, group), label in zip(complete.items(), labels, strict=True):
        name = label if label and labels.count(label) == 1 else stem.rpartition("/")[2]
        every = [*group, *_projector(projectors, stem)]
        found.append(
            Quantisation(name=name, format="gguf", files=tuple(every), size=sum(file.size for file in every))
        )
    return found


def _whole(group: Sequence[HubFile]) -> bool:
    """Whether every part is there, once."""
    first = PART.match(group[0].path.rpartition("/")[2][:-5])
    if first is None:
        return len(group) == 1
    count = int(first["count"])
    numbers = sorted(
        int(part["number"]) for file in group if (part := PART.match(file.path[:-5])) is not None
    )
    return 0 < count <= MOST_PARTS and numbers == list(range(1, count + 1))


def _projector(projectors: Sequence[HubFile], stem: str) -> list[HubFile]:
    """The projector that goes with the model `stem`: of the nearest folder above it, in the usual precision."""
    folder = stem.rpartition("/")[0]
    near = [file for file in projectors if file.path.rpartition("/")[0] == folder.removeprefix("/")]
    while folder and not near:
        folder = folder.rpartition("/")[0]
        near = [file for file in projectors if file.path.rpartition("/")[0] == folder.removeprefix("/")]

    def order(file: HubFile) -> tuple[int, int]:
        label = label_of(file.path.rpartition("/")[2])
        return (_PROJECTORS.index(label) if label in _PROJECTORS else len(_PROJECTORS)), file.size

    return [min(near, key=order)] if near else []


def _folder(
    files: Sequence[HubFile], index: Mapping[str, str] | None, library: Library, *, code: bool
) -> Quantisation | None:
    by_path = {file.path: file for file in files}
    if "config.json" not in by_path:
        return None
    weights = _weights(by_path, index)
    if not weights:
        return None
    small = [
        file
        for file in files
        if file.size <= MOST_SMALL
        and (
            _SMALL.fullmatch(file.path)
            or _TEMPLATES.fullmatch(file.path)
            or (code and file.path.endswith(".py"))
        )
    ]
    every = (*sorted(small, key=lambda file: file.path), *weights)
    return Quantisation(name=FOLDER, format=library, files=every, size=sum(file.size for file in every))


def _weights(by_path: Mapping[str, HubFile], index: Mapping[str, str] | None) -> list[HubFile]:
    """The safetensors files that loaders read."""
    if index is not None:
        named = sorted(set(index.values()))
        # An index may name only files beside it; one that names others is none.
        if named and all(
            name in by_path and "/" not in name and name.endswith(".safetensors") for name in named
        ):
            return [by_path[name] for name in named]
    if "model.safetensors" in by_path:
        return [by_path["model.safetensors"]]
    shards: dict[tuple[str, int], list[HubFile]] = {}
    singles: list[HubFile] = []
    for path, file in sorted(by_path.items()):
        if "/" in path or not path.endswith(".safetensors") or path.startswith(("adapter", "consolidated")):
            continue
        match = _SHARD.fullmatch(path)
        if match is None:
            singles.append(file)
        else:
            shards.setdefault((match["stem"], int(match["count"])), []).append(file)
    complete = [group for (_, count), group in shards.items() if len(group) == count]
    return complete[0] if complete else singles


def _nothing(repository: str, files: Iterable[HubFile]) -> ModelNotFound | Unsupported:
    pickled = sorted(file.path for file in files if file.path.lower().endswith(_PICKLED))
    if pickled:
        return Unsupported(
            f"{repository} has no safe weights.",
            f"{plain(pickled[0], 80)} is pickled: loading it may run any code. It is not fetched.",
            "Look for the model as safetensors, or as GGUF.",
            param="model",
        )
    return ModelNotFound(
        f"{repository} holds no model that Hearth could run.",
        "It has neither a whole GGUF file nor safetensors with a config.json.",
        f"Look for another: hearth search {repository.rpartition('/')[2]} --gguf",
        param="model",
    )

"""The processor of a model folder: what makes of pictures and text what the model takes.

Those of models that also look at videos want further packages for these alone (torchvision, num2words). No videos are
read here, so where such a package is missing the processor is made without that part.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.text_safety import plain

_VIDEOS: Final = "video_processor"


def load_processor(path: Path, kind: str) -> Any:
    """The processor in the folder `path` of a model of the type `kind`. Raises whatever the library does."""
    from transformers import AutoProcessor

    said = {"local_files_only": True, "trust_remote_code": False}
    try:
        return AutoProcessor.from_pretrained(str(path), **said)
    except Exception as error:
        bare = _without_videos(_class_name(path, kind))
        if bare is None:
            raise ImportError(_reason(error)) from None
        return bare.from_pretrained(str(path), **said)


def _class_name(path: Path, kind: str) -> str:
    """The class that the folder names, else the one for its type of model; empty for one that transformers lacks."""
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    known = set(PROCESSOR_MAPPING_NAMES.values())
    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        try:
            said = msgspec.json.decode((path / file).read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        name = said.get("processor_class") if isinstance(said, dict) else None
        if name in known:
            return str(name)
    return PROCESSOR_MAPPING_NAMES.get(kind) or ""


def _without_videos(name: str) -> Any:
    """This class of processors, less what it has for videos; None where it has nothing for them, or needs more."""
    import transformers

    try:
        whole: Any = getattr(transformers, name)
        parts = whole.get_attributes()
    except (AttributeError, ImportError):
        return None
    if _VIDEOS not in parts:
        return None
    module = importlib.import_module(whole.__module__)
    if getattr(module, "num2words", whole) is None:
        # Asked for when the processor is made, used for the length of a video.
        module.num2words = str  # type: ignore[attr-defined]

    class WithoutVideos(whole):  # type: ignore[misc]
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [part for part in parts if part != _VIDEOS]

        @classmethod
        def _get_arguments_from_pretrained(cls, *args: Any, **kwargs: Any) -> list[Any]:
            found: list[Any] = super()._get_arguments_from_pretrained(*args, **kwargs)
            found.insert(parts.index(_VIDEOS), None)
            return found

    WithoutVideos.__name__ = whole.__name__
    return WithoutVideos


def _reason(error: Exception) -> str:
    """What is missing, in few words: the library's own say it at length."""
    text = plain(str(error), 400)
    if "torchvision" in text.lower():
        return "its processor needs torchvision. In Hearth's checkout: .venv/bin/pip install torchvision."
    return text

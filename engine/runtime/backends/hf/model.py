"""Loads the weights of a model folder with transformers.

Nothing is fetched, and no code of the folder's is run unless the settings trust its revision (`trusted_code`):
safetensors only, local files only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from engine.errors import InvalidRequest, Unsupported
from engine.extras import way_to
from engine.library.folder_split import Placement
from engine.library.load_options import check
from engine.library.model_folder import BESIDE_TEXT, ModelFolder
from engine.runtime.backends.base import LoadSpec, Progress
from engine.runtime.backends.folder.loading import check_bits, loading, missing, stage
from engine.runtime.backends.found_devices import torch_devices
from engine.runtime.backends.hf.devices import device_of, torch_name
from engine.runtime.backends.hf.spread import computed, device_map
from engine.runtime.backends.library_settings import LibrarySettings
from engine.text_safety import plain
from engine.types import LoadOptions

if TYPE_CHECKING:
    import torch

DTYPES: Final = {
    "float32": "float32", "f32": "float32", "fp32": "float32",
    "float16": "float16", "f16": "float16", "fp16": "float16", "half": "float16",
    "bfloat16": "bfloat16", "bf16": "bfloat16",
}  # fmt: skip
"""Names of number types that may be asked for, as torch calls them."""
_LOW_WATERMARK: Final = 1.4


def check_options(options: LoadOptions) -> None:
    """Raises InvalidRequest or Unsupported for a load option that cannot be honoured, by name."""
    check("transformers", options)
    if options.dtype not in (None, "auto", *DTYPES):
        raise InvalidRequest(
            f"`dtype` {plain(str(options.dtype), 40)!r} is unknown.",
            fix=f"Use auto, {', '.join(sorted(set(DTYPES.values())))}.",
            param="dtype",
        )
    check_bits(options)


def prepare_process(settings: LibrarySettings) -> None:
    """Settle what torch and transformers read from the environment when they are imported. Before any import of them.

    Whether there is an Apple GPU is told by torch alone; where there is none, what is meant for it does nothing.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] = "1" if settings.mps_fallback else "0"
    high, low = settings.mps_high_watermark, settings.mps_low_watermark
    if high:
        # PyTorch ends the process where the low one is above the high one, its own of 1.4 included.
        low = min(high, _LOW_WATERMARK if low is None else low)
    for name, ratio in (("HIGH", high), ("LOW", low)):
        if ratio is not None:
            os.environ[f"PYTORCH_MPS_{name}_WATERMARK_RATIO"] = f"{ratio:g}"


def completed(folder: ModelFolder) -> ModelFolder:
    """The folder with what transformers takes for granted where the configuration of its language part is silent."""
    if not isinstance(folder.config.get("text_config"), Mapping):
        return folder
    try:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(str(folder.path), local_files_only=True, trust_remote_code=False)
    except Exception:
        # Loading it comes next, and says why that is.
        return folder
    whole = {**config.get_text_config().to_dict(), **folder.text_config}
    return replace(folder, config={**folder.config, "text_config": whole})


def import_library(spec: LoadSpec, progress: Progress) -> None:
    """Import torch and transformers, after `prepare_process`. Raises Unsupported where one of them is missing."""
    stage(spec, progress, "library")
    try:
        import torch  # noqa: F401
        from transformers.utils import logging
    except ImportError as error:
        raise missing(spec, "transformers", "transformers", error) from None
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def load(
    spec: LoadSpec, folder: ModelFolder, plan: Placement | None, attention: str, progress: Progress
) -> Any:
    """The model with its weights, spread as `plan` says, its attention that of `attention`, ready to be run.

    Raises ModelLoadFailed, Unsupported or InsufficientMemory with the library's reason, InterruptedError when
    `progress` answered False.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    device = torch_name(device_of(spec.options, plan))
    stage(spec, progress, "weights")
    with loading(spec, "transformers"), _readable_in_place(folder):
        kind = AutoModelForImageTextToText if folder.sees else AutoModelForCausalLM
        places = device_map(kind, folder, plan, torch_devices()) if plan is not None else {}
        model = kind.from_pretrained(
            str(folder.path),
            dtype=_dtype(spec.options, folder, device),
            device_map=places or device,
            quantization_config=_quantisation(spec.options, sees=folder.sees),
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=folder.runs_code,
        )
    if plan is not None:
        model.hf_device_map = computed(places)
    stage(spec, progress, "context")
    return model.eval()


@contextmanager
def _readable_in_place(folder: ModelFolder) -> Iterator[None]:
    """Turns transformers' refusal of layers on the disk that it would first have to write anew into one of ours."""
    try:
        yield
    except ValueError as error:
        if "offload_folder" not in str(error):
            raise
        raise Unsupported(
            f"{folder.path.name} cannot be run from the disk.",
            "transformers holds its layers in another form than its files do.",
            "Leave `disk` out of `device`, or use a GGUF file of the model.",
            param="device",
        ) from None


def _dtype(options: LoadOptions, folder: ModelFolder, device: str) -> torch.dtype | str:
    import torch

    if options.dtype not in (None, "auto"):
        return getattr(torch, DTYPES[options.dtype])
    if device == "cpu" and folder.quantisation == "F16":
        # Processors compute in float16 slowly or by way of float32.
        return torch.float32
    return "auto"


def _quantisation(options: LoadOptions, *, sees: bool) -> Any:
    if not (options.load_in_4bit or options.load_in_8bit):
        return None
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise Unsupported(
            "Loading in 4 or 8 bits needs bitsandbytes, which is not installed here.",
            f"{error}.",
            way_to("transformers"),
            param="load_in_4bit" if options.load_in_4bit else "load_in_8bit",
        ) from None
    import torch
    from transformers import BitsAndBytesConfig

    # A vision tower is small, and suffers most from it; its sizes are not always those that bitsandbytes can pack.
    kept = [rf"(?:.*\.)?[^.]*(?:{BESIDE_TEXT})[^.]*", "lm_head"] if sees else None
    if options.load_in_8bit:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=kept,
    )

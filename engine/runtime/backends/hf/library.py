"""A model of transformers as `Library`, and `open_model`, which makes a backend of it.

A pass is one forward over the tokens of all its parts, laid one behind the other; `attention` keeps them apart. That
serves any model whose layers attend through transformers' interface and keep nothing but keys and values. Whether
a model's do is tried when it is loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from msgspec.structs import replace

from engine.errors import HearthError, InternalError, Unsupported
from engine.library.devices import DISK, titled
from engine.library.folder_split import Placement
from engine.library.model_folder import ModelFolder
from engine.runtime.backends.base import LoadSpec, Progress, StateLost
from engine.runtime.backends.folder.backend import SHELVES, FolderBackend
from engine.runtime.backends.folder.facts import folder_of, shape_of
from engine.runtime.backends.folder.library import Interrupted, Part
from engine.runtime.backends.folder.loading import ran_out
from engine.runtime.backends.folder.texts import AT_ONCE
from engine.runtime.backends.folder.vocabulary import Vocabulary
from engine.runtime.backends.found_devices import torch_devices
from engine.runtime.backends.hf import attention as ragged
from engine.runtime.backends.hf import model as weights
from engine.runtime.backends.hf import passes
from engine.runtime.backends.hf.adapters import Adapters
from engine.runtime.backends.hf.devices import device_of, torch_name
from engine.runtime.backends.hf.holders import Holders
from engine.runtime.backends.hf.pictures import PictureReader, Sample
from engine.runtime.backends.hf.spread import computing, layers_of, plan_of, said_of
from engine.runtime.backends.out_of_memory import is_out_of_memory
from engine.runtime.backends.sampling.logprobs import Floats
from engine.types import LoadOptions


def open_model(spec: LoadSpec, progress: Progress) -> FolderBackend:
    """Load the folder at `spec.path`.

    Raises ModelLoadFailed or InsufficientMemory with the library's reason, Unsupported for a load option or a
    model that cannot be served, and InterruptedError when `progress` answered False.
    """
    weights.check_options(spec.options)
    folder = folder_of(spec)
    weights.prepare_process(spec.libraries)
    weights.import_library(spec, progress)
    folder = weights.completed(folder)
    vocabulary = Vocabulary(folder.path, folder.number("vocab_size") or None)
    devices = torch_devices()
    plan = plan_of(spec, folder, devices)
    library = HfLibrary(spec, folder, plan, weights.load(spec, folder, plan, "eager", progress))
    backend = FolderBackend(spec, folder, vocabulary, library, "transformers")
    where = titled(device_of(spec.options)) if plan is None else said_of(plan, devices)
    backend.facts = replace(backend.facts, device=where)
    return backend


class HfLibrary:
    """Owns `model`. Used from one thread, except `interrupt`. Raises Unsupported for a model that it cannot serve."""

    def __init__(self, spec: LoadSpec, folder: ModelFolder, plan: Placement | None, model: Any) -> None:
        """`model` is spread as `plan` says, or on the one device that it names itself."""
        import torch

        self._torch, self._model, self._spec, self._folder = torch, model, spec, folder
        self._plan = plan
        layers = () if plan is None else computing(plan, torch_devices())
        # Of a model that is spread it may be none: where its first weights are, not where they are computed.
        self._device = (
            model.device if plan is None else torch.device(torch_name(device_of(spec.options, plan)))
        )
        shape = shape_of(spec, folder)
        total = shape.slots + SHELVES + AT_ONCE
        self.holders = Holders(total, shape.context, self._device, layers)
        self._attention = ragged.Attention(self.holders)
        self.adapters = Adapters(model)
        self._threads = _threads(spec.options, torch.get_num_threads())
        torch.set_num_threads(self._threads[0])
        self.media = self._eyes()
        self._mrope = self.media is not None and self.media.mrope
        self._check(total - 1)

    def logits(self, parts: Sequence[Part]) -> Floats:
        laid = passes.laid(parts, mrope=self._mrope)
        with self._passing(reads=any(len(part.tokens) > 1 for part in parts)):
            kept = self._torch.tensor(laid.wanted or (0,), device=self._device)
            given = self._given(laid)
            if "deepstack_visual_embeds" in given:
                # Models take these below the face that they show to everybody.
                states = self._model.model.language_model(**given).last_hidden_state[:, kept]
                found = self._model.get_output_embeddings()(states)
            else:
                found = self._model(**given, logits_to_keep=kept).logits
            logits: Floats = found[0].float().cpu().numpy()
        return logits

    def states(self, parts: Sequence[Part]) -> Floats:
        with self._passing(reads=True):
            found = self._model.base_model(**self._given(passes.laid(parts, mrope=self._mrope)))
            states: Floats = found.last_hidden_state[0].float().cpu().numpy()
        return states

    def _given(self, laid: passes.Pass) -> dict[str, Any]:
        """The arguments of a pass."""
        torch, device = self._torch, self._device
        self._attention.pieces = laid.pieces
        positions = torch.from_numpy(laid.positions).to(device)
        given: dict[str, Any] = {
            "position_ids": positions[:, None] if self._mrope else positions[None],
            "use_cache": False,
        }
        tokens = torch.tensor([laid.tokens], device=device)
        if not laid.shown:
            return {"input_ids": tokens, **given}
        embeds = self._model.get_input_embeddings()(tokens)
        width = embeds.shape[-1]
        mask = torch.zeros(tokens.shape, dtype=torch.bool, device=device)
        for each in laid.shown:
            end = each.begin + len(each.vectors)
            embeds[0, each.begin : end] = each.vectors[:, :width].to(embeds.dtype)
            mask[0, each.begin : end] = True
        given["inputs_embeds"] = embeds
        further = [each.vectors[:, width:] for each in laid.shown]
        if further[0].shape[1]:
            given["visual_pos_masks"] = mask
            given["deepstack_visual_embeds"] = list(torch.cat(further).to(embeds.dtype).split(width, -1))
        return given

    @contextmanager
    def _passing(self, *, reads: bool = False) -> Iterator[None]:
        """Turns what torch raises into an error of ours; the state of no sequence has changed by it.

        A pass that `reads` part of a prompt has threads of its own number.
        """
        threads = self._threads[reads]
        if threads != self._torch.get_num_threads():
            self._torch.set_num_threads(threads)
        try:
            with self._torch.inference_mode():
                yield
        except HearthError:
            raise
        except Interrupted:
            self._attention.stop.clear()
            raise
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                self._free_cache()
                raise ran_out(self._spec.model, error) from None
            if self._device.type == "cuda" and "CUDA error" in str(error):
                raise StateLost("The GPU broke off in a step.", f"{error}") from None
            raise InternalError("transformers could not compute a step.", f"{error}") from None

    def interrupt(self) -> None:
        self._attention.stop.set()

    def interrupted(self) -> bool:
        was_up = self._attention.stop.is_set()
        self._attention.stop.clear()
        return was_up

    @property
    def weight_bytes(self) -> int:
        found: int = sum(each.nbytes for each in self._model.parameters())
        if self._plan is not None:
            layers = layers_of(self._model, len(self._plan.layers))
            on_disk = [number for number, name in enumerate(self._plan.layers) if name == DISK.name]
            found -= sum(each.nbytes for number in on_disk for each in layers[number].parameters())
        return found

    @property
    def form(self) -> str:
        import transformers

        options = self._spec.options
        bits = "4bit" if options.load_in_4bit else "8bit" if options.load_in_8bit else ""
        return f"{self._model.dtype} {bits} {self._device.type} transformers {transformers.__version__}"

    def close(self) -> None:
        self._model = None
        self._free_cache()

    def _free_cache(self) -> None:
        """Give the device's driver back what torch keeps for the next step."""
        if self._device.type in ("cuda", "mps"):
            getattr(self._torch, self._device.type).empty_cache()

    def _eyes(self) -> PictureReader | None:
        """What reads pictures; None, with the reason in the log, for a model that does and cannot here."""
        if not self._folder.sees:
            return None
        try:
            return PictureReader(self._model, self._folder, self._spec.model, self._device)
        except Exception as error:
            self._blind(str(error))
            return None

    def _blind(self, why: str) -> None:
        print(f"{self._folder.path.name} is used without its eyes: {why}", file=sys.stderr, flush=True)

    def _check(self, other: int) -> None:
        """Hold passes of ours against one of the library's own, and refuse a model that they do not serve.

        A sequence beside another (in the holder `other`), and then in two parts, must come to what the model says of
        it alone.
        """
        size = self._folder.number("vocab_size") or 32
        tokens = [token % size for token in (5, 17, 3, 29, 11)]
        with self._passing():
            alone = self._model(input_ids=self._torch.tensor([tokens], device=self._device), use_cache=False)
            first, expected = (alone.logits[0, place].float().cpu().numpy() for place in (0, -1))
        sample = self._sample(tokens)
        self._use_own_attention()
        whole = self.logits([Part(0, tokens[:3], 0), Part(other, tokens, 0, 1)])[0]
        parted = self.logits([Part(0, tokens[3:], 3, 1)])[0]
        self.holders.clear()
        layers = self._folder.number("num_hidden_layers") or self._folder.number("n_layer")
        close = min(_cosine(row, expected) for row in (whole, parted)) >= self._alike
        if self._attention.calls != 2 * layers or not close:
            raise Unsupported(
                f"{self._folder.path.name} cannot be served by the transformers backend.",
                "Its layers do not all attend through transformers' interface, or keep more than keys and values.",
                "Use a GGUF file of the model.",
                param="model",
            )
        if sample is not None and _cosine(sample.first, first) < self._alike:
            self._blind("its words see those behind them where there is a picture.")
            self.media = None
        elif sample is not None:
            self._check_eyes(sample)

    @property
    def _alike(self) -> float:
        # Half precision rounds at every layer, and otherwise for another order of sums; LLM.int8 (Dettmers et al.,
        # 2022) takes those columns apart that are large in any row of a pass.
        options = self._spec.options
        exact = self._model.dtype == self._torch.float32 and not (
            options.load_in_8bit or options.load_in_4bit
        )
        return 0.9999 if exact else 0.99

    def _use_own_attention(self) -> None:
        name = ragged.install(self._attention)
        parts = getattr(self._model.config, "sub_configs", None) or {}
        if "text_config" not in parts:
            self._model.set_attn_implementation(name)
            return
        # A vision tower attends as it was made to, if it can without a table of all patches by all patches.
        try:
            self._model.set_attn_implementation({"text_config": name, "vision_config": "sdpa"})
        except ValueError:
            self._model.set_attn_implementation({"text_config": name})

    def _sample(self, tokens: list[int]) -> Sample | None:
        """A prompt with a picture, and what the library says of it."""
        if self.media is None:
            return None
        try:
            with self._passing():
                return self.media.sample(tokens)
        except Exception as error:
            self._blind(str(error))
            self.media = None
            return None

    def _check_eyes(self, sample: Sample) -> None:
        """Find out how the tokens of a picture see one another; without its eyes where that is not known."""
        assert self.media is not None
        likeness: dict[bool, float] = {}
        for two_ways in (False, True):
            self.media.two_ways = two_ways
            try:
                prompt = self.media.placed(sample)
                found = self.logits([Part(0, prompt.tokens, 0, 1, prompt.spans)])[0]
            except (HearthError, TypeError, ValueError) as error:
                self._blind(str(error))
                self.media = None
                return
            finally:
                self.holders.clear()
            likeness[two_ways] = _cosine(found, sample.logits)
        # Both may come close in half precision.
        self.media.two_ways = likeness[True] > likeness[False]
        if not max(likeness.values()) >= self._alike:
            self._blind("a picture among words does not come to what transformers says of it.")
            self.media = None


def _threads(options: LoadOptions, usual: int) -> tuple[int, int]:
    """How many threads decode, and how many read prompts; `usual`: as many as torch takes by itself."""
    decoding = options.threads or usual
    return decoding, options.batch_threads or decoding


def _cosine(one: Floats, other: Floats) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))

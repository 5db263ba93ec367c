"""Pictures for a vision-language model of transformers: the model's own processor and vision tower, one at a time.

The processor says how many tokens a picture has and what stands around them; the tower and its projector make
embeddings of it. Some models hand further features to their first layers (deepstack, Qwen3-VL): these lie behind the
embeddings of the same token.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import Struct

from engine.errors import InternalError, InvalidRequest
from engine.library.model_folder import ModelFolder
from engine.runtime.backends.folder.loading import ran_out
from engine.runtime.backends.hf.processors import load_processor
from engine.runtime.backends.media import Laid, Span, numbers
from engine.runtime.backends.out_of_memory import is_out_of_memory
from engine.runtime.backends.sampling.logprobs import Floats
from engine.text_safety import plain

if TYPE_CHECKING:
    from torch import Tensor

    from engine.media.picture import Picture

_NOT_PIXELS: Final = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids", "labels")
_KINDS: Final = ("token_type_ids", "mm_token_type_ids")
_IMAGE: Final = 1
"""The kind of a token that is a picture, in `mm_token_type_ids`."""


class _Seen:
    """A picture as the processor has prepared it; its features once they are computed."""

    def __init__(self, pixels: Mapping[str, Any]) -> None:
        self.pixels = pixels
        self.features: Tensor | None = None


class _Source(Struct, frozen=True):
    """A run of tokens of a picture: so many features from `first` on."""

    picture: _Seen
    first: int

    @property
    def nbytes(self) -> int:
        # Those of all its runs, told by the first.
        return 0 if self.first else sum(getattr(each, "nbytes", 0) for each in self.picture.pixels.values())


class Sample(Struct, frozen=True):
    """A prompt with a picture, and the logits behind it by transformers' own pass, [vocabulary]."""

    before: tuple[int, ...]
    picture: Picture
    after: tuple[int, ...]
    logits: Floats
    first: Floats
    """Those behind the first of its words."""


class PictureReader:
    """The eyes of `model`, which was loaded from `folder` and takes what it is given on `device`.

    `stand_in` is what its template writes for a picture. Raises what the library does where the folder's processor
    cannot be used.
    """

    def __init__(self, model: Any, folder: ModelFolder, name: str, device: Any) -> None:
        self._model, self._name, self._device = model, name, device
        self._processor: Any = load_processor(folder.path, folder.architecture)
        self._token: int = _token_of(model.config)
        self.stand_in: str | None = self._written()
        self.mrope = hasattr(getattr(model, "model", None), "get_rope_index")
        self.two_ways = False
        """Whether the tokens of a picture see one another; found out when the model is tried."""
        self._lock = threading.Lock()
        self._special = frozenset(self._processor.tokenizer.all_special_ids)
        one, two = (self._prepared(_sample(), copies)["input_ids"][0].tolist() for copies in (1, 2))
        self.alone_differs = two.count(self._token) != 2 * one.count(self._token)
        config = (folder.path / "preprocessor_config.json", folder.path / "processor_config.json")
        said = [path.read_bytes() for path in config if path.is_file()]
        # There are several for one model, by what is installed; they resize a little differently.
        kind = type(self._processor.image_processor).__name__.encode()
        self._identity = blake2b(b"".join((*said, kind)), digest_size=16).digest()

    def _written(self) -> str:
        """The one of the processor's names for a picture that its template writes; without a template, its first."""
        names = [getattr(self._processor, name, None) for name in ("image_token", "boi_token")]
        names.append(self._processor.tokenizer.convert_ids_to_tokens(self._token))
        known = [name for name in names if isinstance(name, str)]
        content = [{"type": "image"}, {"type": "text", "text": "x"}]
        try:
            text = self._processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
        except Exception:
            # No template, or one that takes no pictures.
            return known[0]
        return next((name for name in known if name in text), known[0])

    def read(self, picture: Picture, *, alone: bool = True) -> Laid:
        copies = 1 if alone or not self.alone_differs else 2
        try:
            made = self._prepared(picture, copies)
        except Exception as error:
            raise InvalidRequest(
                "The picture cannot be prepared for this model.",
                f"{plain(str(error), 200).rstrip('.')}.",
                "Cut it to a more usual form, or send it in another size (`image_max_side`).",
            ) from None
        ids = made["input_ids"][0].tolist()
        pixels = {name: value for name, value in made.items() if name not in _NOT_PIXELS}
        positions = self._positions(made) if self.mrope else None
        key = picture.key.encode() + self._identity + bytes([copies])
        return self._laid(ids[: len(ids) // copies], _Seen(pixels), positions, key)

    def _prepared(self, picture: Picture, copies: int = 1) -> Mapping[str, Any]:
        with self._lock:
            made: Mapping[str, Any] = self._processor(
                text=[(self.stand_in or "") * copies],
                images=[[picture.image()] * copies],
                return_tensors="pt",
                add_special_tokens=False,
            )
        return made

    def _laid(self, ids: Sequence[int], seen: _Seen, positions: Any, key: bytes) -> Laid:
        before, after = self._edge(ids), self._edge(ids[::-1])[::-1]
        inner = slice(len(before), len(ids) - len(after))
        ids = ids[inner]
        positions = None if positions is None else positions[:, inner]
        tokens = list(ids)
        spans: list[Span] = []
        taken = place = 0
        while place < len(ids):
            if ids[place] != self._token:
                place += 1
                continue
            end = place
            while end < len(ids) and ids[end] == self._token:
                end += 1
            count, name = end - place, key + len(spans).to_bytes(4, "little")
            relative, advance = None, count
            if positions is not None:
                start = int(positions[:, place].min())
                relative = np.ascontiguousarray(positions[:, place:end] - start, np.int32)
                # What follows is behind the farthest of them.
                advance = int(relative.max()) + 1
            spans.append(
                Span(
                    start=place,
                    count=count,
                    key=name,
                    advance=advance,
                    positions=relative,
                    whole=self.two_ways,
                    two_ways=self.two_ways,
                    source=_Source(seen, taken),
                )
            )
            tokens[place:end] = numbers(name, count)
            taken, place = taken + count, end
        if not spans:
            raise InternalError("The model's processor gives no place to a picture.")
        decode = self._processor.tokenizer.decode
        return Laid(tuple(tokens), tuple(spans), before=decode(before), after=decode(after))

    def _edge(self, ids: Sequence[int]) -> list[int]:
        """The first of `ids`, as far as they are words."""
        return list(takewhile(lambda token: token != self._token and token not in self._special, ids))

    def _positions(self, made: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Positions of all tokens of a picture, int32 [3, tokens], as the model itself counts them."""
        ids = made["input_ids"]
        given = {
            **{name: made[name] for name in made if name != "attention_mask"},
            "mm_token_type_ids": made.get("mm_token_type_ids", (ids == self._token).int() * _IMAGE),
        }
        count = self._model.model.get_rope_index
        asked = inspect.signature(count).parameters
        found, _ = count(**{name: value for name, value in given.items() if name in asked})
        places: np.ndarray[Any, np.dtype[np.int32]] = found[:, 0].cpu().numpy().astype(np.int32)
        return places

    # --- trying a model

    def sample(self, tokens: Sequence[int]) -> Sample:
        """A picture between `tokens`, by the model as it was loaded."""
        import torch
        from torch.nn.functional import pad

        picture = _sample()
        made = self._prepared(picture)
        around = tuple(tokens[:2]), tuple(tokens[2:])
        inner = made["input_ids"][0].tolist()
        ids = torch.tensor([[*around[0], *inner, *around[1]]])
        given = {
            **{name: made[name] for name in made if name != "labels"},
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            **{name: pad(made[name], (len(around[0]), len(around[1]))) for name in _KINDS if name in made},
        }
        device, dtype = self._device, self._model.dtype
        out = self._model(
            **{name: _moved(value, device, dtype) for name, value in given.items()}, use_cache=False
        )
        before = (*around[0], *self._edge(inner))
        after = (*self._edge(inner[::-1])[::-1], *around[1])
        logits, first = (out.logits[0, place].float().cpu().numpy() for place in (-1, 0))
        return Sample(before, picture, after, logits, first)

    def placed(self, sample: Sample) -> Laid:
        """The prompt of a sample, with the embeddings of its picture."""
        laid = self.read(sample.picture)
        before = len(sample.before)
        return Laid(
            (*sample.before, *laid.tokens, *sample.after),
            tuple(self.encode(span).moved(before) for span in laid.spans),
        )

    # --- features

    def encode(self, span: Span) -> Span:
        source = span.source
        assert isinstance(source, _Source)
        try:
            if source.picture.features is None:
                source.picture.features = self._features(source.picture.pixels)
                source.picture.pixels = {}
        except Exception as error:
            if is_out_of_memory(error):
                raise ran_out(self._name, error) from None
            raise InternalError("transformers could not look at a picture.", plain(str(error), 300)) from None
        return span.with_vectors(source.picture.features[source.first : source.first + span.count])

    def _features(self, pixels: Mapping[str, Any]) -> Tensor:
        """The features of all tokens of a picture, [tokens, width · (1 + further features)]."""
        import torch

        model = self._model
        with torch.inference_mode():
            found = model.get_image_features(
                **{name: _moved(value, self._device, model.dtype) for name, value in pixels.items()}
            )
            features = _flat(getattr(found, "pooler_output", found))
            further = getattr(found, "deepstack_features", None) or []
            return torch.cat([features, *(_flat(each) for each in further)], -1)


def _sample() -> Picture:
    from engine.media.picture import Picture

    width, height = 48, 36
    pixels = bytes((3 * place * place + place // 7) % 251 for place in range(width * height * 3))
    return Picture(width=width, height=height, pixels=pixels, key="sample")


def _moved(value: Any, device: Any, dtype: Any) -> Any:
    """A tensor on the device of the model, and of its type of number; anything else as it is."""
    if not hasattr(value, "is_floating_point"):
        return value
    return value.to(device, dtype) if value.is_floating_point() else value.to(device)


def _flat(features: Any) -> Tensor:
    """Features of one picture, in however many parts, as [tokens, width]."""
    import torch

    parts = features if isinstance(features, list | tuple) else [features]
    return torch.cat([part.reshape(-1, part.shape[-1]) for part in parts])


def _token_of(config: Any) -> int:
    """The token that a picture's places are filled with."""
    for name in ("image_token_id", "image_token_index"):
        token = getattr(config, name, None)
        if isinstance(token, int):
            return token
    raise InternalError("The model does not say which token stands for a picture.")

"""One native sampler chain for each sequence: what `Sampling` asks, in the order llama.cpp applies it.

The samplers are llama.cpp's on every backend, so that a parameter means the same on all of them and a seed draws alike.

Default order: biases, penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature, draw.
`samplers` gives another order for all but biases and draw, and leaves out what it does not name (as the
server of llama.cpp does). Mirostat replaces the truncations: biases, penalties, DRY, temperature, mirostat.
Temperature 0 is greedy: the best token after biases, penalties and DRY.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import InternalError, InvalidRequest, Unsupported
from engine.runtime.backends.guide import Guide
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.sampling.candidates import Candidates, Workbench, drawn, shaped
from engine.runtime.backends.sampling.dry import DrySamplers
from engine.runtime.backends.sampling.logprobs import Floats
from engine.runtime.backends.sampling.nucleus import WORTHWHILE, nucleus
from engine.types import Sampling

HONOURED: Final[frozenset[str]] = frozenset(Sampling.__struct_fields__)
DEFAULT_ORDER: Final = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typical_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
BIAS: Final = np.dtype([("token", np.int32), ("bias", np.float32)])
"""`llama_logit_bias` of llama.h."""
_ALIASES: Final = {"typ_p": "typical_p", "typical": "typical_p", "nucleus": "top_p", "temp": "temperature"}
_SQUEEZED: Final = {name.replace("_", ""): name for name in DEFAULT_ORDER}
_MIROSTAT_CANDIDATES: Final = 100
_NO_CHANCE: Final = 1e-30  # of the best token's: banned tokens, and those whose float32 probability is 0
_SECOND_SEED: Final = 0x9E3779B9  # far from the seed of the first draws; 2**32 by the golden ratio
_RANDOM_SEED: Final = 0xFFFFFFFF  # llama.cpp takes this one seed to mean "draw me one"


def order_of(names: Sequence[str]) -> tuple[str, ...]:
    """Canonical sampler names for `names`; kebab-case and llama.cpp's aliases are understood.

    Raises InvalidRequest for a name that is unknown or stands twice.
    """
    found: list[str] = []
    for name in names:
        plain = name.strip().lower().replace("-", "_")
        canonical = _ALIASES.get(plain) or _SQUEEZED.get(plain.replace("_", ""))
        if canonical is None or canonical in found:
            problem = "is unknown" if canonical is None else "stands twice"
            raise InvalidRequest(
                f"The sampler `{name}` {problem}.",
                fix=f"Known: {', '.join(DEFAULT_ORDER)}.",
                param="samplers",
            )
        found.append(canonical)
    return tuple(found)


class Tokens(Protocol):
    """What samplers have to know of a vocabulary."""

    @property
    def size(self) -> int: ...

    @property
    def end_tokens(self) -> tuple[int, ...]: ...

    @property
    def suppressed(self) -> tuple[int, ...]:
        """Tokens that are never sampled."""
        ...

    @property
    def dry(self) -> DrySamplers | None:
        """DRY over the vocabulary, where it is llama.cpp's own, by which it reads its breakers."""
        ...

    @property
    def workbench(self) -> Workbench:
        """Room for the candidates of a draw."""
        ...


class Chain:
    """The samplers of one sequence with their state (random generator, penalty window, mirostat's mu).

    `history` is the prompt, whose tail the penalties see. Frees its native samplers in `close`.
    """

    def __init__(
        self, sampling: Sampling, seed: int, vocabulary: Tokens, context: int, history: Sequence[int]
    ) -> None:
        self._api = native()
        self._vocabulary = vocabulary
        self._context = context
        self._history = history
        self._seed = min(seed, _RANDOM_SEED - 1)
        order = order_of(sampling.samplers) or DEFAULT_ORDER
        biases = _biases(sampling, vocabulary)
        self._members = 0
        self._nucleus: float | None = None
        self._min_keep = sampling.min_keep
        self._is_greedy = sampling.temperature == 0
        self._draws_once = not self._is_greedy and bool(sampling.mirostat or sampling.xtc_probability)
        self._remembers = False
        """Whether a sampler keeps the tokens that were accepted: penalties or DRY."""
        self._spare: int | None = None
        self.handle: int | None = self._created(
            self._api.llama_sampler_chain_init(self._api.llama_sampler_chain_default_params())
        )
        try:
            self._build(sampling, order, biases)
        except BaseException:
            self.close()
            raise
        self._is_argmax = self._is_greedy and self._members == 1

    def _build(self, sampling: Sampling, order: tuple[str, ...], biases: NDArray[Any]) -> None:
        api = self._api
        if len(biases):
            array = ctypes.cast(biases.ctypes.data, ctypes.POINTER(api.llama_logit_bias))
            self._add(api.llama_sampler_init_logit_bias(self._vocabulary.size, len(biases), array))
        greedy = sampling.temperature == 0
        if greedy or sampling.mirostat:
            order = tuple(name for name in order if name in ("penalties", "dry"))
            if not greedy:
                order += ("temperature",)
        for name in order:
            _MAKERS[name](self, sampling)
        if greedy:
            self._add(api.llama_sampler_init_greedy())
        elif sampling.mirostat == 1:
            self._add(
                api.llama_sampler_init_mirostat(
                    self._vocabulary.size,
                    self._seed,
                    sampling.mirostat_tau,
                    sampling.mirostat_eta,
                    _MIROSTAT_CANDIDATES,
                )
            )
        elif sampling.mirostat == 2:
            self._add(
                api.llama_sampler_init_mirostat_v2(self._seed, sampling.mirostat_tau, sampling.mirostat_eta)
            )
        else:
            self._add(api.llama_sampler_init_dist(self._seed))

    def _created(self, handle: int | None) -> int:
        if not handle:
            raise InternalError("llama.cpp could not make a sampler.", "It returned no handle.")
        return handle

    def _add(self, handle: int | None, *, window: int = 0) -> None:
        """Give a sampler to the chain, having shown it the last `window` tokens of the history."""
        sampler = self._created(handle)
        self._remembers |= window > 0
        for token in self._history[-window:] if window else ():
            self._api.llama_sampler_accept(sampler, token)
        self._api.llama_sampler_chain_add(self.handle, sampler)
        self._members += 1

    def _window(self, last_n: int) -> int:
        return self._context if last_n < 0 else min(last_n, self._context)

    # --- one method for each name of an order; each adds nothing where its values switch it off ---

    def _penalties(self, sampling: Sampling) -> None:
        repeat, frequency, presence = (
            sampling.repetition_penalty,
            sampling.frequency_penalty,
            sampling.presence_penalty,
        )
        window = self._window(sampling.repeat_last_n)
        if window and (repeat != 1.0 or frequency or presence):
            self._add(
                self._api.llama_sampler_init_penalties(
                    self._vocabulary.size, window, repeat, frequency, presence
                ),
                window=window,
            )

    def _dry(self, sampling: Sampling) -> None:
        window = self._window(sampling.dry_penalty_last_n)
        if not (sampling.dry_multiplier and window):
            return
        if self._vocabulary.dry is None:
            raise Unsupported(
                "This backend cannot sample with DRY.",
                "It reads its breakers with a vocabulary of llama.cpp's.",
                "Leave out `dry_multiplier`, or use a GGUF file of the model.",
                param="dry_multiplier",
            )
        self._add(self._vocabulary.dry.copy(sampling, window), window=window)

    def _top_n_sigma(self, sampling: Sampling) -> None:
        if sampling.top_n_sigma > 0:
            self._add(self._api.llama_sampler_init_top_n_sigma(sampling.top_n_sigma))

    def _top_k(self, sampling: Sampling) -> None:
        if 0 < sampling.top_k < self._vocabulary.size:
            self._add(self._api.llama_sampler_init_top_k(max(sampling.top_k, sampling.min_keep)))

    def _typical_p(self, sampling: Sampling) -> None:
        if sampling.typical_p < 1.0:
            # The library's entropy is not a number as soon as one token has no chance at all.
            self._add(self._api.llama_sampler_init_min_p(_NO_CHANCE, 1))
            self._add(self._api.llama_sampler_init_typical(sampling.typical_p, sampling.min_keep))

    def _top_p(self, sampling: Sampling) -> None:
        if sampling.top_p >= 1.0:
            return
        if self._members == 0 and self._vocabulary.size >= WORTHWHILE:
            self._nucleus = sampling.top_p
        else:
            self._add(self._api.llama_sampler_init_top_p(sampling.top_p, sampling.min_keep))

    def _min_p(self, sampling: Sampling) -> None:
        if sampling.min_p > 0.0:
            self._add(self._api.llama_sampler_init_min_p(sampling.min_p, sampling.min_keep))

    def _xtc(self, sampling: Sampling) -> None:
        if sampling.xtc_probability > 0.0 and sampling.xtc_threshold <= 0.5:
            self._add(
                self._api.llama_sampler_init_xtc(
                    sampling.xtc_probability, sampling.xtc_threshold, sampling.min_keep, self._seed
                )
            )

    def _temperature(self, sampling: Sampling) -> None:
        if sampling.dynatemp_range > 0.0:
            self._add(
                self._api.llama_sampler_init_temp_ext(
                    sampling.temperature, sampling.dynatemp_range, sampling.dynatemp_exponent
                )
            )
        elif sampling.temperature != 1.0:
            self._add(self._api.llama_sampler_init_temp(sampling.temperature))

    def sample(self, row: Floats, guide: Guide | None = None, *, place: tuple[int, int] | None = None) -> int:
        """Draw from the logits `row`, which are left as they are, and remember the token drawn.

        `place` is where llama.cpp has the same logits: its context, and the index in the last batch; it then needs
        no candidates of ours. With a guide the token is one that it allows, and the guide has accepted it.
        Raises InvalidRequest where the guide allows no token that can be drawn, or breaks.
        """
        if guide is not None:
            token = self._guided(row, guide, place)
            self._api.llama_sampler_accept(self.handle, token)
            guide.accept(token)
            return token
        if self._is_argmax:
            return int(row.argmax())
        if self._nucleus is None and place is not None:
            return int(self._api.llama_sampler_sample(self.handle, *place))
        token = self._drawn(row)
        self._api.llama_sampler_accept(self.handle, token)
        return token

    def _drawn(self, row: Floats) -> int:
        """What the whole chain draws; it is not told."""
        handle = self._created(self.handle)
        if self._nucleus is None:
            return drawn(handle, self._vocabulary.workbench.whole(row))
        return drawn(handle, nucleus(row, self._nucleus, self._min_keep), is_sorted=True)

    # --- draws under a guide ---

    def _guided(self, row: Floats, guide: Guide, place: tuple[int, int] | None) -> int:
        """A token that `guide` allows, drawn as the chain draws.

        Its probability is the chain's own, given that the token is allowed: drawn from all, and where that was not
        allowed, once more from those that are. Only where the chain had left none of these, it begins anew
        with the others at minus infinity. The second draw has lots of its own: with those of the first, which
        are known to have led astray, it would be biased. So every state moves on once for a token.

        Mirostat and XTC change state by drawing lots themselves, so they see the allowed tokens only.
        """
        if self._is_argmax:
            token = int(row.argmax())
            return token if guide.allows(token) else self._best(row, guide)
        again = self._member(-1)
        if not self._draws_once:
            left = self._shaped(row) if self._remembers or self._nucleus is not None else None
            if left is None:
                # Nothing in the chain keeps what it is told, so the library may draw and tell it at once.
                token = (
                    self._drawn(row)
                    if place is None
                    else int(self._api.llama_sampler_sample(self.handle, *place))
                )
            else:
                token = drawn(again, left)
            if guide.allows(token):
                return token
            again = self._second()
            left = self._shaped(row) if left is None else left
            left = left[guide.mask()[left["id"]]]
            left = left[left["logit"] > -np.inf]
            if len(left):
                return drawn(again, left)
        masked = np.where(guide.mask(), row, np.float32(-np.inf))
        if np.isneginf(masked.max()):
            return _end(guide)
        left = self._shaped(masked)
        left = left[left["logit"] > -np.inf]
        return drawn(again, left) if len(left) else _end(guide)

    def _best(self, row: Floats, guide: Guide) -> int:
        allowed = np.flatnonzero(guide.mask())
        return int(allowed[row[allowed].argmax()]) if len(allowed) else _end(guide)

    def _shaped(self, row: Floats) -> Candidates:
        """What all samplers but the last leave of the tokens, whose logits are `row`."""
        members = map(self._member, range(self._members - 1))
        if self._nucleus is None:
            return shaped(members, self._vocabulary.workbench.whole(row), is_sorted=False)
        return shaped(members, nucleus(row, self._nucleus, self._min_keep), is_sorted=True)

    def _member(self, place: int) -> int:
        return self._created(self._api.llama_sampler_chain_get(self.handle, place % self._members))

    def _second(self) -> int:
        """The sampler that draws once more: the best of them where the chain takes the best, else by lot."""
        if self._is_greedy:
            return self._member(-1)
        if self._spare is None:
            seed = (self._seed + _SECOND_SEED) % _RANDOM_SEED
            self._spare = self._created(self._api.llama_sampler_init_dist(seed))
        return self._spare

    def close(self) -> None:
        for handle in (self.handle, self._spare):
            if handle is not None:
                self._api.llama_sampler_free(handle)
        self.handle = self._spare = None

    def __del__(self) -> None:
        # One that was suspended belongs to a request, which may end while it waits.
        if getattr(self, "handle", None) is not None:
            self.close()


_MAKERS: Final[dict[str, Callable[[Chain, Sampling], None]]] = {
    name: getattr(Chain, f"_{name}") for name in DEFAULT_ORDER
}


def _end(guide: Guide) -> int:
    """The end of an output to which nothing can be added, even if end tokens were banned."""
    if guide.may_end and guide.ends:
        return guide.ends[0]
    raise InvalidRequest(
        "The constraint leaves no token to sample.",
        "The model has no token that goes on as it asks, or they are banned.",
        "Change the constraint, or leave out `banned_tokens` and `logit_bias`.",
        param="constraint",
    )


def _biases(sampling: Sampling, vocabulary: Tokens) -> NDArray[Any]:
    """Every logit offset that is asked, as BIAS; minus infinity for tokens that must not come."""
    for param, tokens in (("logit_bias", sampling.logit_bias), ("banned_tokens", sampling.banned_tokens)):
        for token in tokens:
            if not 0 <= token < vocabulary.size:
                raise InvalidRequest(
                    f"`{param}` names token {token}, which the model does not have.",
                    f"Its tokens are 0 to {vocabulary.size - 1}.",
                    param=param,
                )
    never = _ids(vocabulary.suppressed)
    if sampling.banned_tokens or sampling.ignore_eos:
        ends = vocabulary.end_tokens if sampling.ignore_eos else ()
        never = np.union1d(never, np.array((*sampling.banned_tokens, *ends), np.int32))
    if len(never) >= vocabulary.size:
        raise InvalidRequest(
            "`banned_tokens` leaves no token to sample.", "It names them all.", param="banned_tokens"
        )
    moved = {token: bias for token, bias in sampling.logit_bias.items() if token not in never}
    biases = np.empty(len(moved) + len(never), BIAS)
    biases["token"][: len(moved)], biases["bias"][: len(moved)] = list(moved), list(moved.values())
    biases["token"][len(moved) :], biases["bias"][len(moved) :] = never, -np.inf
    return biases


@lru_cache(maxsize=4)
def _ids(tokens: tuple[int, ...]) -> NDArray[np.int32]:
    """`tokens`, each once: tens of thousands where weights have been padded far beyond the vocabulary."""
    return np.unique(np.array(tokens, np.int32))

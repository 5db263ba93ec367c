"""One native sampler chain for each sequence: what `Sampling` asks, in the order llama.cpp applies it.

Default order: biases, penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature, draw.
`samplers` gives another order for all but biases and draw, and leaves out what it does not name (as the
server of llama.cpp does). Mirostat replaces the truncations: biases, penalties, DRY, temperature, mirostat.
Temperature 0 is greedy: the best token after biases, penalties and DRY.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, Final

from engine.errors import InternalError, InvalidRequest
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.logits import Floats
from engine.runtime.backends.llama.nucleus import WORTHWHILE, nucleus
from engine.runtime.backends.llama.vocabulary import Vocabulary
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
_ALIASES: Final = {"typ_p": "typical_p", "typical": "typical_p", "nucleus": "top_p", "temp": "temperature"}
_SQUEEZED: Final = {name.replace("_", ""): name for name in DEFAULT_ORDER}
_MIROSTAT_CANDIDATES: Final = 100
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


class Chain:
    """The samplers of one sequence with their state (random generator, penalty window, mirostat's mu).

    `history` is the prompt, whose tail the penalties see. Frees its native samplers in `close`.
    """

    def __init__(
        self, sampling: Sampling, seed: int, vocabulary: Vocabulary, context: int, history: Sequence[int]
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
        self.handle: int | None = self._created(
            self._api.llama_sampler_chain_init(self._api.llama_sampler_chain_default_params())
        )
        try:
            self._build(sampling, order, biases)
        except BaseException:
            self.close()
            raise
        self._is_argmax = sampling.temperature == 0 and self._members == 1

    def _build(self, sampling: Sampling, order: tuple[str, ...], biases: dict[int, float]) -> None:
        api = self._api
        if biases:
            array = (api.llama_logit_bias * len(biases))(*biases.items())
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
        breakers = [text.encode("utf-8", "replace") for text in sampling.dry_sequence_breakers if text]
        self._add(
            self._api.llama_sampler_init_dry(
                self._vocabulary.handle,
                sampling.dry_multiplier,
                sampling.dry_base,
                sampling.dry_allowed_length,
                window,
                (ctypes.c_char_p * len(breakers))(*breakers),
                len(breakers),
            ),
            window=window,
        )

    def _top_n_sigma(self, sampling: Sampling) -> None:
        if sampling.top_n_sigma > 0:
            self._add(self._api.llama_sampler_init_top_n_sigma(sampling.top_n_sigma))

    def _top_k(self, sampling: Sampling) -> None:
        if 0 < sampling.top_k < self._vocabulary.size:
            self._add(self._api.llama_sampler_init_top_k(max(sampling.top_k, sampling.min_keep)))

    def _typical_p(self, sampling: Sampling) -> None:
        if sampling.typical_p < 1.0:
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

    def sample(self, context: int, index: int, row: Floats) -> int:
        """Draw from the logits that the `index`-th token of the last batch got, and remember the token drawn.

        `row` is a view of the same logits: greedy sampling and the pre-cut need no native candidates.
        """
        if self._is_argmax:
            return int(row.argmax())
        if self._nucleus is None:
            return int(self._api.llama_sampler_sample(self.handle, context, index))
        candidates = nucleus(row, self._nucleus, self._min_keep)
        array = self._api.llama_token_data_array(
            data=ctypes.cast(candidates.ctypes.data, self._api.llama_token_data_p),
            size=len(candidates),
            selected=-1,
            sorted=True,
        )
        self._api.llama_sampler_apply(self.handle, ctypes.byref(array))
        token = array.data[array.selected].id
        self._api.llama_sampler_accept(self.handle, token)
        return int(token)

    def close(self) -> None:
        if self.handle is not None:
            self._api.llama_sampler_free(self.handle)
            self.handle = None


_MAKERS: Final[dict[str, Callable[[Chain, Sampling], None]]] = {
    name: getattr(Chain, f"_{name}") for name in DEFAULT_ORDER
}


def _biases(sampling: Sampling, vocabulary: Vocabulary) -> dict[int, float]:
    """Every logit offset that is asked, minus infinity for tokens that must not come."""
    for param, tokens in (("logit_bias", sampling.logit_bias), ("banned_tokens", sampling.banned_tokens)):
        for token in tokens:
            if not 0 <= token < vocabulary.size:
                raise InvalidRequest(
                    f"`{param}` names token {token}, which the model does not have.",
                    f"Its tokens are 0 to {vocabulary.size - 1}.",
                    param=param,
                )
    never: dict[int, Any] = dict.fromkeys((*sampling.banned_tokens, *vocabulary.suppressed), float("-inf"))
    if sampling.ignore_eos:
        never.update(dict.fromkeys(vocabulary.end_tokens, float("-inf")))
    if len(never) >= vocabulary.size:
        raise InvalidRequest(
            "`banned_tokens` leaves no token to sample.", "It names them all.", param="banned_tokens"
        )
    return {**sampling.logit_bias, **never}

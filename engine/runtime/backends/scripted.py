"""A deterministic backend without weights: everything above the seam is tested without native libraries.

What it says, how long it takes and how it fails stands in `script`. The next token is a pure function of the
sequence and its seed, so a sequence that was removed and put back goes on where it was, as with real models.
Adapters are visible: while any is set, sampled text is in capitals.
"""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from msgspec import Struct

from engine.errors import InsufficientMemory, InternalError, InvalidRequest, ModelLoadFailed, ModelNotFound
from engine.runtime.backends.base import LoadSpec, Outcome, Progress, Row, Sampled, SequenceSpec, StepResult
from engine.runtime.backends.script import Script, parse
from engine.sampling import FIELDS
from engine.types import AdapterRef, Capabilities, MemoryUse, ModelFacts, TokenLogprob

BOS, END = 256, 257
_SPECIAL = {BOS: "<|begin|>", END: "<|end|>", 258: "<|system|>", 259: "<|user|>", 260: "<|assistant|>"}
_SPECIAL[261] = "<|tool|>"
_SPECIAL_ID = {text: token for token, text in _SPECIAL.items()}
_SPECIAL_SPLIT = re.compile("(" + "|".join(re.escape(text) for text in _SPECIAL_ID) + ")")
_USER = 259
_GENERATED = 512
"""From here on tokens come from sampling only: that is how a sequence knows how far its script is."""
_WORDS = 1024

TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
THINKING_TEMPLATE = TEMPLATE.replace(
    "<|assistant|>", "<|assistant|>{% if enable_thinking is defined and enable_thinking %}<think>{% endif %}"
).replace("{{ message.content }}", "{{ message.content.split('</think>')[-1] }}")


class _Sequence(Struct):
    tokens: list[int]
    prompt: int
    """How many tokens come before the answer."""
    computed: int
    seed: int
    ignore_eos: bool
    top_logprobs: int | None
    answer: tuple[int, ...]


class ScriptedBackend:
    """A `StepBackend` that plays a `Script`."""

    def __init__(self, name: str, script: Script, slots: int, context: int, batch: int) -> None:
        self._script = script
        self._sequences: dict[int, _Sequence] = {}
        self._words: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._adapters: tuple[AdapterRef, ...] = ()
        self._interrupt = threading.Event()
        self._sampled = 0
        self.batch_limit = batch
        self.facts = ModelFacts(
            name=name,
            architecture="scripted",
            context_trained=script.context,
            context=context,
            vocabulary=1 << 20,
            bos=BOS,
            eos=(END,),
            chat_template=THINKING_TEMPLATE if script.thinking else TEMPLATE,
            capabilities=Capabilities(
                backend="scripted",
                sampling=FIELDS - set(script.refuses),
                logprobs=True,
                adapters=True,
                fork=script.fork,
                cancel_in_prefill=True,
                max_slots=slots,
            ),
        )

    # --- tokens

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        tokens = [BOS] if add_special else []
        for part in _SPECIAL_SPLIT.split(text) if parse_special else [text]:
            special = _SPECIAL_ID.get(part) if parse_special else None
            tokens += [special] if special is not None else part.encode("utf-8", "surrogatepass")
        return tokens

    def piece(self, token: int) -> bytes:
        if token < 256:
            return bytes((token,))
        if token < _GENERATED:
            return b""
        if token < _WORDS:
            return bytes((token - _GENERATED,))
        return self._texts.get(token, "").encode()

    def special_text(self, token: int) -> str:
        return _SPECIAL.get(token) or self.piece(token).decode("utf-8", "replace")

    # --- sequences

    def insert(self, spec: SequenceSpec) -> None:
        if spec.slot in self._sequences:
            raise InternalError(f"slot {spec.slot} is taken")
        tokens = list(spec.tokens)
        prompt = len(tokens)
        while prompt and tokens[prompt - 1] >= _GENERATED:
            prompt -= 1
        self._sequences[spec.slot] = _Sequence(
            tokens=tokens,
            prompt=prompt,
            computed=0,
            seed=spec.seed,
            ignore_eos=spec.sampling.ignore_eos,
            top_logprobs=spec.top_logprobs,
            answer=self._answer(tokens[:prompt]),
        )

    def fork(self, source: int, target: int, count: int) -> None:
        old, new = self._sequences[source], self._sequences[target]
        if count > old.computed or old.tokens[:count] != new.tokens[:count] or new.computed:
            raise InternalError("a fork of tokens that are not shared")
        new.computed = count

    def remove(self, slot: int) -> None:
        del self._sequences[slot]

    def set_adapters(self, adapters: tuple[AdapterRef, ...]) -> None:
        for adapter in adapters:
            if adapter.name.startswith("missing"):
                raise ModelNotFound(f"There is no adapter {adapter.name!r}.", param="adapters")
        self._adapters = adapters

    # --- the step

    def step(self, rows: Sequence[Row]) -> StepResult:
        script = self._script
        if script.chatter:
            os.write(1, script.chatter.encode())
            os.write(2, script.chatter.encode())
        total = sum(row.count for row in rows)
        if total > self.batch_limit:
            raise InternalError(f"{total} tokens in a step of at most {self.batch_limit}")
        used = sum(sequence.computed for sequence in self._sequences.values())
        if script.cells is not None and used + total > script.cells:
            return StepResult(Outcome.NO_SLOT)
        delay = script.delay_ms / 1e3 + total * script.token_us / 1e6
        if self._interrupt.wait(delay) if delay else self._interrupt.is_set():
            self._interrupt.clear()
            return StepResult(Outcome.INTERRUPTED)
        end = time.thread_time() + script.spin_ms / 1e3
        while time.thread_time() < end:
            pass
        sampled = []
        for row in rows:
            sequence = self._sequences[row.slot]
            sequence.computed += row.count
            if sequence.computed > len(sequence.tokens):
                raise InternalError("a row beyond the known tokens")
            if sequence.computed == len(sequence.tokens):
                sampled.append(self._sample(row.slot, sequence))
        return StepResult(Outcome.OK, tuple(sampled))

    def interrupt(self) -> None:
        self._interrupt.set()

    def memory(self) -> MemoryUse:
        script = self._script
        if script.weights or script.cache:
            cache = script.cache * self.facts.context // script.context
            return MemoryUse(weights=script.weights, kv_cache=cache, resident=script.weights + cache)
        return MemoryUse(kv_cache=sum(sequence.computed for sequence in self._sequences.values()))

    def close(self) -> None:
        self._sequences.clear()

    def _sample(self, slot: int, sequence: _Sequence) -> Sampled:
        if self._sampled >= self._script.after:
            fail(self._script, ("abort", "exit", "kill", "hang", "error"))
        self._sampled += 1
        position = len(sequence.tokens) - sequence.prompt
        token = self._next(sequence, position)
        if self._adapters and token >= _WORDS:
            token = self._intern(self._texts[token].upper())
        sequence.tokens.append(token)
        if sequence.top_logprobs is None:
            return Sampled(slot, token)
        top = tuple(
            TokenLogprob(other, self.piece(other), -0.25 - rank)
            for rank, other in enumerate(
                [token, *range(97, 97 + sequence.top_logprobs)][: sequence.top_logprobs]
            )
        )
        return Sampled(slot, token, TokenLogprob(token, self.piece(token), -0.25, top))

    def _next(self, sequence: _Sequence, position: int) -> int:
        answer = sequence.answer
        if self._script.random:
            return random.Random(f"{sequence.seed}:{position}").choice(answer or (END,))
        if position < len(answer):
            return answer[position]
        return answer[position % len(answer)] if sequence.ignore_eos and answer else END

    def _answer(self, prompt: list[int]) -> tuple[int, ...]:
        script = self._script
        if script.text is not None:
            text = script.text
        elif script.tokens:
            return tuple(self._intern(f" w{number}" if number else "w0") for number in range(script.tokens))
        else:
            text = f"You said: {self._last_user_turn(prompt)}"
        if script.pieces == "bytes":
            return tuple(_GENERATED + byte for byte in text.encode())
        return tuple(self._intern(word) for word in re.findall(r"\s*\S+|\s+$", text))

    def _last_user_turn(self, prompt: list[int]) -> str:
        turn = prompt[len(prompt) - prompt[::-1].index(_USER) :] if _USER in prompt else prompt
        end = turn.index(END) if END in turn else len(turn)
        return bytes(token for token in turn[:end] if token < 256).decode("utf-8", "replace")

    def _intern(self, text: str) -> int:
        token = self._words.setdefault(text, _WORDS + len(self._words))
        self._texts[token] = text
        return token


def fail(script: Script, kinds: Sequence[str]) -> None:
    """Fail as `script` says, if its failure is one of `kinds`."""
    if script.fail is None or script.fail not in kinds:
        return
    if script.once:
        try:
            Path(script.once).touch(exist_ok=False)
        except FileExistsError:
            return
    kind = script.fail.removeprefix("load_")
    os.write(2, f"scripted: about to {kind}\n".encode())
    if kind == "abort":
        os.abort()
    elif kind == "exit":
        os._exit(3)
    elif kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "hang":
        threading.Event().wait()
    elif kind == "load":
        raise ModelLoadFailed("The scripted model does not load.", "Its script says so.")
    raise InternalError("The scripted backend broke.", "Its script says so.")


def open_text(spec: LoadSpec) -> ScriptedBackend:
    """The script in `spec.path` for questions about text: nothing takes time, nothing fails."""
    script = parse(spec.path)
    context = min(spec.options.context or script.context, script.context)
    return ScriptedBackend(spec.model, script, spec.options.slots or script.slots, context, script.batch)


def open_model(spec: LoadSpec, progress: Progress) -> ScriptedBackend:
    """Load the script in `spec.path`. Raises as `Opener` says, and ModelNotFound for an unreadable script."""
    script = parse(spec.path)
    if script.chatter:
        os.write(1, script.chatter.encode())
        os.write(2, script.chatter.encode())
    fail(script, ("load", "load_abort", "load_exit", "load_hang"))
    start = time.monotonic()
    parts = max(1, min(100, int(script.load_ms)))
    for part in count(1):
        if not progress("weights", min(1.0, part / parts)):
            raise InterruptedError("the load was stopped")
        if part >= parts:
            break
        time.sleep(max(0.0, start + part / parts * script.load_ms / 1e3 - time.monotonic()))
    options = spec.options
    slots = options.slots or script.slots
    context = min(options.context or script.context, script.context)
    if slots < 1 or context < 8:
        raise InvalidRequest("A scripted model needs a slot and a context of 8 tokens at least.")
    if script.fits is not None and context > script.fits:
        raise InsufficientMemory("There is not enough memory.", f"A context of {script.fits} fits.")
    batch = min(options.batch or script.batch, script.batch)
    return ScriptedBackend(spec.model, script, slots, context, batch)

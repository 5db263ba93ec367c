"""A deterministic backend without weights: everything above the seam is tested without native libraries.

What it says, how long it takes and how it fails stands in `script`. The next token is a pure function of the
sequence and its seed, so a sequence that was removed and put back goes on where it was, as with real models.
Adapters are visible: while any is set, sampled text is in capitals. It knows of every KV cell which token, place and
adapters it was computed for, and fails loudly where a cell is used for anything else.
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
from typing import NoReturn

import msgspec
from msgspec import Struct

from engine.errors import (
    InsufficientMemory,
    InternalError,
    InvalidRequest,
    ModelLoadFailed,
    ModelNotFound,
    Unsupported,
)
from engine.runtime.backends.base import (
    LoadSpec,
    Outcome,
    Progress,
    Row,
    Sampled,
    Scored,
    SequenceSpec,
    StateLost,
    StepResult,
)
from engine.runtime.backends.no_texts import NoTexts
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


class _Cell(Struct):
    """One KV cell: what it was computed for, and how many holders have it."""

    token: int
    place: int
    adapters: tuple[AdapterRef, ...]
    holders: int = 1


class _Sequence(Struct):
    tokens: list[int]
    prompt: int
    """How many tokens come before the answer."""
    seed: int
    ignore_eos: bool
    top_logprobs: int | None
    answer: tuple[int, ...]


class ScriptedBackend:
    """A `StepBackend` that plays a `Script`."""

    def __init__(self, name: str, script: Script, slots: int, context: int, batch: int) -> None:
        self._script = script
        self._sequences: dict[int, _Sequence] = {}
        self._cells: list[list[_Cell]] = [[] for _ in range(slots + script.shelves)]
        """Those of each holder, in order: slots, then shelves."""
        self._used = 0
        self._shrunk = False
        self._words: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._adapters: tuple[AdapterRef, ...] = ()
        self._interrupt = threading.Event()
        self._sampled = 0
        self.media = None
        self.batch_limit = batch
        self.output_limit = max(batch, slots)
        self.shelves = script.shelves
        self.cells = script.cells or slots * context
        self.saves_exactly = script.exact
        self.identity = f"scripted {name} {context}"
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
                prompt_logprobs=True,
                adapters=True,
                fork=not script.exact,
                trim=not script.exact,
                save=True,
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
        if token < _GENERATED + 256:
            return bytes((token - _GENERATED,))
        return self._texts.get(token, "").encode()

    def special_text(self, token: int) -> str:
        return _SPECIAL.get(token) or self.piece(token).decode("utf-8", "replace")

    def token_of(self, text: str) -> int | None:
        return _SPECIAL_ID.get(text)

    def token_table(self) -> NoReturn:
        raise Unsupported(
            "A scripted model follows no grammar.", "It says what its script says.", param="constraint"
        )

    @property
    def texts(self) -> NoTexts:
        return NoTexts("A scripted model")

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
            seed=spec.seed,
            ignore_eos=spec.sampling.ignore_eos,
            top_logprobs=spec.top_logprobs,
            answer=self._answer(tokens[:prompt]),
        )

    def amend(self, slot: int, count: int, tokens: Sequence[int]) -> None:
        if len(self._cells[slot]) > count:
            self.cut(slot, count)
        self._sequences[slot].tokens[count:] = tokens

    def suspend(self, slot: int) -> None:
        self.remove(slot)

    def remove(self, slot: int) -> None:
        self.cut(slot, 0)
        del self._sequences[slot]

    # --- state

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        given, taken = self._cells[source], self._cells[target]
        if stop > len(given) or len(taken) != start:
            raise InternalError(f"holder {target} cannot have cells {start} to {stop} of holder {source}")
        if self._script.exact and (start != 0 or stop != len(given)):
            raise InternalError("a part of a state that cannot be cut")
        for cell in given[start:stop]:
            cell.holders += 1
        taken += given[start:stop]
        self._check_cells(target)

    def cut(self, holder: int, count: int) -> None:
        cells = self._cells[holder]
        if self._script.exact and 0 < count < len(cells):
            raise InternalError("a cut of a state that cannot be cut")
        for cell in cells[count:]:
            cell.holders -= 1
            self._used -= cell.holders == 0
        del cells[count:]

    def cuttable(self, holder: int) -> bool:
        return not self._script.exact

    def save(self, shelf: int, count: int) -> memoryview:
        if self._script.exact and count != len(self._cells[shelf]):
            raise InternalError("a part of a state that cannot be cut")
        return memoryview(msgspec.json.encode(self._cells[shelf][:count]))

    def restore(self, shelf: int, state: bytes | memoryview, count: int) -> None:
        cells = msgspec.json.decode(bytes(state), type=list[_Cell])
        if len(cells) != count or self._cells[shelf]:
            raise InternalError("a state that does not fit")
        for cell in cells:
            cell.holders = 1
        self._used += len(cells)
        self._cells[shelf] = cells

    def adapter_identity(self, adapters: tuple[AdapterRef, ...]) -> str:
        return " ".join(f"{each.name}*{each.scale}" for each in adapters)

    def rebuild(self) -> None:
        self.shrink()
        self._shrunk = False

    def shrink(self) -> None:
        self._sequences.clear()
        self._cells = [[] for _ in self._cells]
        self._used = 0
        self._adapters = ()
        self._shrunk = True

    def _check_cells(self, holder: int) -> None:
        """Raises InternalError if a slot has a cell that was computed for another sequence."""
        sequence = self._sequences.get(holder)
        if sequence is None:
            return
        for place, cell in enumerate(self._cells[holder]):
            if cell.token != sequence.tokens[place] or cell.place != place:
                raise InternalError(f"slot {holder} has the cell of another token at {place}")

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
        total = sum(row.size for row in rows)
        if total > self.batch_limit or sum(row.outputs() for row in rows) > self.output_limit:
            raise InternalError(f"{total} tokens in a step of at most {self.batch_limit}")
        if script.cells is not None and self._used + total > script.cells:
            return StepResult(Outcome.NO_SLOT)
        if script.room is not None and self._used + total > script.room:
            raise InsufficientMemory("There is not enough memory.", f"{script.room} tokens fit.")
        if script.steps_fit is not None and self.facts.context > script.steps_fit:
            raise InsufficientMemory("There is not enough memory.", f"A context of {script.steps_fit} fits.")
        guessed = sum(len(row.draft) for row in rows)
        delay = script.delay_ms / 1e3 + (total - guessed * (1 - script.draft_cost)) * script.token_us / 1e6
        if self._interrupt.wait(delay) if delay else self._interrupt.is_set():
            self._interrupt.clear()
            return StepResult(Outcome.INTERRUPTED)
        self._misbehave(rows)
        end = time.thread_time() + script.spin_ms / 1e3
        while time.thread_time() < end:
            pass
        sampled: list[Sampled] = []
        scored: list[Scored] = []
        for row in rows:
            sequence = self._sequences[row.slot]
            if row.scored:
                scored.append(self._score(row, sequence))
            self._compute(row.slot, row.count)
            if len(self._cells[row.slot]) == len(sequence.tokens):
                sampled += self._draw(row, sequence)
        return StepResult(Outcome.OK, tuple(sampled), tuple(scored))

    def _misbehave(self, rows: Sequence[Row]) -> None:
        script = self._script
        for row in rows:
            sequence = self._sequences[row.slot]
            text = bytes(token for token in sequence.tokens[: sequence.prompt] if token < 256).decode(
                "utf-8", "replace"
            )
            if script.poison and script.poison in text:
                raise InternalError("The scripted step was refused.", "Its script says so.")
            if script.breaks and script.breaks in text and _first_time(script.once):
                raise StateLost("The scripted step broke.", "Its script says so.")

    def _compute(self, slot: int, count: int) -> None:
        sequence, cells = self._sequences[slot], self._cells[slot]
        if any(cell.adapters != self._adapters for cell in cells[-1:]):
            raise InternalError(f"slot {slot} goes on under other adapters")
        start = len(cells)
        if start + count > len(sequence.tokens):
            raise InternalError("a row beyond the known tokens")
        cells += [
            _Cell(token, start + index, self._adapters)
            for index, token in enumerate(sequence.tokens[start : start + count])
        ]
        self._used += count

    def _draw(self, row: Row, sequence: _Sequence) -> list[Sampled]:
        drawn = [self._sample(row.slot, sequence)]
        for guess in row.draft:
            if drawn[-1].token != guess or guess == END:
                break
            self._compute(row.slot, 1)
            drawn.append(self._sample(row.slot, sequence))
        return drawn

    def _score(self, row: Row, sequence: _Sequence) -> Scored:
        start = len(self._cells[row.slot]) + 1
        tokens = sequence.tokens[start : start + row.count]
        return Scored(
            row.slot, start, tuple(self._logprob(token, sequence.top_logprobs or 0) for token in tokens)
        )

    def interrupt(self) -> None:
        self._interrupt.set()

    def memory(self) -> MemoryUse:
        script = self._script
        if script.weights or script.cache:
            cache = 0 if self._shrunk else script.cache * self.facts.context // script.context
            return MemoryUse(weights=script.weights, kv_cache=cache, resident=script.weights + cache)
        return MemoryUse(kv_cache=self._used)

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
        return Sampled(slot, token, self._logprob(token, sequence.top_logprobs))

    def _logprob(self, token: int, top: int) -> TokenLogprob:
        others = tuple(
            TokenLogprob(other, self.piece(other), -0.25 - rank)
            for rank, other in enumerate([token, *range(97, 97 + top)][:top])
        )
        return TokenLogprob(token, self.piece(token), -0.25, others)

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
    if not _first_time(script.once):
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


def _first_time(mark: str) -> bool:
    """Whether the file `mark` was not there yet; it is now. Without a name it is always the first time."""
    if not mark:
        return True
    try:
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


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

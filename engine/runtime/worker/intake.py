"""Turns a request into the tokens that are read, and into the form that its answer takes.

Template, tokenizer, fitting into the context window, grammar. Usable from several threads at once.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.errors import ContextOverflow, HearthError, InternalError, InvalidRequest, Unsupported
from engine.runtime.backends.base import StepBackend
from engine.runtime.backends.guide import GuideMaker
from engine.runtime.backends.media import Laid
from engine.runtime.wire import Count, Detokenize, Render, Reply, Tokenize
from engine.runtime.worker.album import Album
from engine.runtime.worker.cache import Marks
from engine.runtime.worker.pictures import Pictures, has_pictures
from engine.types import GenerationRequest, Message, Part, TextPart, Tool

if TYPE_CHECKING:
    from engine.prompt.answer import AnswerForm
    from engine.prompt.reader import Reader
    from engine.prompt.template import Template
    from engine.runtime.backends.guide import Guide
    from engine.runtime.backends.media import Span

_BOUNDLESS: Final = 2**31 - 1
MAX_SIDE: Final = 1440
"""Longest side of a picture, pixels, where nothing else is said."""
_TEMPLATES = 16
"""How many compiled templates are kept: the model's own and those that requests bring."""


class Prepared(Struct, frozen=True, kw_only=True):
    """A prompt ready to be computed, and how its answer is to be read."""

    tokens: tuple[int, ...]
    text: str
    """The prompt as text, for `echo`."""
    limit: int
    """Most tokens of a choice."""
    dropped_messages: int = 0
    dropped_tokens: int = 0
    stops: tuple[str, ...] = ()
    """Stop strings of the template, beside the request's own."""
    reader: Callable[[], Reader] | None = None
    """Makes a fresh reader for each choice; None where the answer is all content."""
    visible: Mapping[int, bytes] = {}
    """Control tokens that the reader must see, with their text."""
    marks: Marks = Marks()
    guide: Guide | None = None
    """What the answer's tokens must follow; each choice needs its own copy."""
    spans: tuple[Span, ...] = ()
    """Pictures among the tokens."""


class Intake:
    """Prepares requests for one loaded model; templates are compiled once."""

    def __init__(
        self,
        backend: StepBackend,
        answer_reserve: int,
        max_side: int = MAX_SIDE,
        album: Album | None = None,
    ) -> None:
        self._backend = backend
        self._facts = backend.facts
        self._reserve, self._max_side = answer_reserve, max_side
        self._album = album if album is not None or backend.media is None else Album(backend.media)
        self._guides = GuideMaker(backend.token_table)
        self._templates: dict[str, Template] = {}

    def prepare(self, request: GenerationRequest, wanted: Callable[[], bool] | None = None) -> Prepared:
        """Raises InvalidRequest, ContextOverflow or Unsupported; Unwanted if it is no longer `wanted`."""
        if request.suffix is not None or request.extra_context:
            return self._from_gap(request)
        if request.messages is not None or (request.prompt is not None and not request.raw):
            return self._from_messages(request, wanted)
        return self._from_text(request)

    def render(self, request: GenerationRequest, *, open_turn: bool = True) -> str:
        """The prompt text of `request` by its template; without `open_turn` no answer is begun."""
        template = self._template(request.template)
        return template.render(
            self._messages(request),
            tools=request.tools,
            add_generation_prompt=open_turn,
            thinking=request.thinking,
            args=request.template_args,
        )

    def answer(self, question: Tokenize | Detokenize | Render | Count) -> Reply:
        """The reply to a question about text; never raises."""
        try:
            match question:
                case Tokenize():
                    special = question.special
                    tokens = self._backend.tokenize(question.text, add_special=special, parse_special=special)
                    return Reply(question.call, tokens=tuple(tokens))
                case Detokenize():
                    if question.apart:
                        return Reply(question.call, pieces=self.pieces_of(question.tokens))
                    return Reply(question.call, text=self.text_of(question.tokens))
                case Render():
                    text = self.render(question.request, open_turn=question.open_turn)
                    return Reply(question.call, text=text)
                case Count():
                    # Prepared as for an answer, in a window that nothing overflows.
                    prepared = self._boundless.prepare(replace(question.request, max_tokens=0))
                    return Reply(question.call, count=len(prepared.tokens))
        except HearthError as error:
            return Reply(question.call, error=error.info)
        except Exception as error:
            traceback.print_exc()
            return Reply(question.call, error=InternalError("The call failed.", str(error)).info)

    def forget(self) -> None:
        """Give up what is remembered of pictures."""
        if self._album is not None:
            self._album.forget()

    @cached_property
    def _boundless(self) -> Intake:
        backend = cast(StepBackend, _Boundless(self._backend))
        return Intake(backend, 0, self._max_side, self._album)

    def _from_messages(
        self, request: GenerationRequest, wanted: Callable[[], bool] | None = None
    ) -> Prepared:
        # Not with this module, which a process that only tries a file imports too: the worker has done so by now.
        from engine.prompt.answer import answer_form
        from engine.prompt.context import fit

        template = self._template(request.template)
        messages = self._messages(request)
        pictures = self._pictures(request, messages, template, wanted)
        if pictures is not None:
            messages = pictures.messages
        tools = () if request.tool_choice.mode == "none" else request.tools
        render = template.render if pictures is None else partial(template.render, harmless=pictures.harmless)

        def text_of(some: Sequence[Message]) -> str:
            return render(
                some,
                tools=tools,
                add_generation_prompt=not request.continue_last,
                continue_last=request.continue_last,
                thinking=request.thinking,
                args=request.template_args,
            )

        def laid(text: str, some: Sequence[Message], *, encode: bool = False) -> Laid:
            if pictures is None:
                return Laid(tuple(self._tokens(text)))
            shown = template.arranged(some)
            return pictures.place(text, some, shown, self._tokens, self._backend.token_of, encode=encode)

        limit = self._room(request)
        for _ in range(2):
            fitted = fit(
                messages,
                limit,
                lambda some: len(laid(text_of(some), some).tokens),
                request.overflow or "drop_oldest",
            )
            text = text_of(fitted.messages)
            form = answer_form(template, text, request, self._backend.token_of)
            count = len(laid(text + form.prefill, fitted.messages).tokens)
            if count <= limit:
                break
            # What the form of the answer adds to the prompt is known only now.
            limit -= count - len(laid(text, fitted.messages).tokens)
        # With nothing to answer the embeddings of pictures are not wanted.
        prompt = laid(text + form.prefill, fitted.messages, encode=not isinstance(self._backend, _Boundless))
        if prompt.tokens and prompt.tokens[-1] < 0:
            raise InvalidRequest(
                "Nothing follows the last image.",
                "The model's template puts it at the end of the prompt.",
                "Write something behind the image.",
                param="messages",
            )
        guide = self._guide(request, form)
        return Prepared(
            tokens=prompt.tokens,
            text=(text if pictures is None else pictures.plain(text)) + form.prefill,
            limit=self._limit(request),
            dropped_messages=fitted.dropped_messages,
            dropped_tokens=fitted.dropped_tokens,
            stops=form.stops,
            reader=lambda: form.reader(enforced=guide is not None),
            visible=self._visible(form.marks),
            marks=Marks(tools=_mark(tools), opening=_mark(_opening(fitted.messages))),
            guide=guide,
            spans=prompt.spans,
        )

    def _pictures(
        self,
        request: GenerationRequest,
        messages: Sequence[Message],
        template: Template,
        wanted: Callable[[], bool] | None,
    ) -> Pictures | None:
        """The pictures of a request, None if it has none. Raises InvalidRequest or Unsupported."""
        if not has_pictures(messages):
            return None
        if self._album is None:
            raise Unsupported(
                "Pictures cannot be read without the model's weights.",
                fix="Load the model first.",
                param="messages",
            )
        side = request.image_max_side or self._max_side
        return Pictures(messages, self._album, side, template.picture, wanted)

    def _guide(self, request: GenerationRequest, form: AnswerForm) -> Guide | None:
        """What the answer's tokens must follow. A backend without grammars still reads calls that the model offers."""
        if form.grammar is None:
            return None
        must = (
            request.constraint is not None or form.counts or request.tool_choice.mode in ("required", "named")
        )
        if not must and not self._facts.capabilities.constraints:
            return None
        return self._guides.make(form.grammar)

    def _visible(self, marks: Sequence[str]) -> dict[int, bytes]:
        found = {self._backend.token_of(mark): mark.encode() for mark in marks}
        return {token: text for token, text in found.items() if token is not None}

    def _from_text(self, request: GenerationRequest) -> Prepared:
        if request.tokens is not None:
            tokens = list(request.tokens)
            self._check_tokens(tokens)
        else:
            tokens = self._backend.tokenize(request.prompt or "", add_special=True, parse_special=True)
        if not tokens:
            tokens = [self._facts.bos] if self._facts.bos is not None else []
        if not tokens:
            raise InvalidRequest(
                "The prompt is empty.", "This model has no token that begins a text.", param="prompt"
            )
        room = self._room(request)
        dropped = max(0, len(tokens) - room)
        if dropped:
            if request.overflow == "refuse":
                raise ContextOverflow(
                    f"The prompt has {len(tokens)} tokens, {dropped} more than there is room for.",
                    f"The context window has {self._facts.context} tokens, and the answer needs its part.",
                    "Shorten the prompt, or load the model with a larger context.",
                    param="tokens" if request.tokens is not None else "prompt",
                )
            keep = min(request.keep_tokens, room // 2)
            tokens = tokens[:keep] + tokens[keep + dropped :]
        return Prepared(
            tokens=tuple(tokens),
            text=request.prompt if request.prompt is not None else self.text_of(tokens),
            limit=self._limit(request),
            dropped_tokens=dropped,
            guide=self._constrained(request),
        )

    def _constrained(self, request: GenerationRequest) -> Guide | None:
        """The guide of an answer that has no form but its constraint."""
        if request.constraint is None:
            return None
        from engine.prompt.grammar import grammar_of

        return self._guides.make(grammar_of(request.constraint))

    def _from_gap(self, request: GenerationRequest) -> Prepared:
        """Fill-in-the-middle between `prompt` and `suffix`."""
        from engine.runtime.worker.infill import lay_out

        marks = self._facts.infill
        if marks is None:
            raise Unsupported(
                "This model cannot fill in the middle of a text.",
                "Its vocabulary has no tokens that mark the gap.",
                "Leave `suffix` out, or choose a model made for code.",
                param="suffix",
            )
        room = self._room(request)
        laid = lay_out(
            request.prompt or "",
            request.suffix or "",
            request.extra_context,
            marks,
            lambda text: self._backend.tokenize(text, add_special=False, parse_special=False),
            begin=self._backend.tokenize("", add_special=True, parse_special=False),
            room=room,
        )
        if laid.dropped and request.overflow == "refuse":
            raise ContextOverflow(
                f"The texts around the gap have {laid.dropped} tokens more than there is room for.",
                f"The context window has {self._facts.context} tokens, and the answer needs its part.",
                "Send less of them, or load the model with a larger context.",
                param="suffix",
            )
        return Prepared(
            tokens=laid.tokens,
            text=request.prompt or "",
            limit=self._limit(request),
            dropped_tokens=laid.dropped,
            guide=self._constrained(request),
        )

    def text_of(self, tokens: Sequence[int]) -> str:
        """`tokens` as text; control tokens are left out."""
        self._check_tokens(tokens)
        return b"".join(self._backend.piece(token) for token in tokens).decode("utf-8", "replace")

    def pieces_of(self, tokens: Sequence[int]) -> tuple[bytes, ...]:
        """The bytes of each of `tokens`; control tokens as they are written."""
        self._check_tokens(tokens)
        backend = self._backend
        return tuple(backend.piece(token) or backend.special_text(token).encode() for token in tokens)

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            if not 0 <= token < self._facts.vocabulary:
                raise InvalidRequest(
                    f"There is no token {token}.",
                    f"The model's vocabulary has {self._facts.vocabulary} tokens.",
                    param="tokens",
                )

    def _messages(self, request: GenerationRequest) -> Sequence[Message]:
        messages = request.messages
        if messages is None:
            prompt = request.prompt or ""
            parts: tuple[Part, ...] = (*request.images, TextPart(prompt))
            messages = (Message(role="user", content=parts if request.images else prompt),)
        if request.system is not None:
            messages = (Message(role="system", content=request.system), *messages)
        return messages

    def _room(self, request: GenerationRequest) -> int:
        """How many prompt tokens leave room for the answer: its limit, at most the reserve, at most half."""
        from engine.prompt.context import prompt_limit

        reserve = max(1, self._reserve)
        return min(
            prompt_limit(self._facts.context, reserve, request.max_tokens),
            # A prompt that fills the window to the last token leaves the model nothing to answer in.
            self._facts.context - 1,
        )

    def _limit(self, request: GenerationRequest) -> int:
        # Without a limit the end of the window is the only one, and is reported as such.
        return self._facts.context if request.max_tokens is None else request.max_tokens

    def _tokens(self, text: str, begins: bool = True) -> list[int]:
        # Templates usually write the beginning-of-text token themselves; twice would change the answer.
        bos = self._bos_text()
        return self._backend.tokenize(
            text, add_special=begins and not (bos and text.startswith(bos)), parse_special=True
        )

    def _bos_text(self) -> str:
        return self._backend.special_text(self._facts.bos) if self._facts.bos is not None else ""

    def _template(self, source: str | None) -> Template:
        from engine.prompt.template import for_model

        source = source or self._facts.chat_template or ""
        found = self._templates.get(source)
        if found is None:
            eos = self._backend.special_text(self._facts.eos[0]) if self._facts.eos else ""
            found = for_model(source, bos=self._bos_text(), eos=eos)
            if len(self._templates) >= _TEMPLATES:
                self._templates.clear()
            self._templates[source] = found
        return found


def _mark(said: Sequence[Tool] | Sequence[Message]) -> str:
    return blake2b(msgspec.json.encode(said), digest_size=8).hexdigest() if said else ""


def _opening(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages up to the first of the user's."""
    first = next((place for place, message in enumerate(messages) if message.role == "user"), len(messages))
    return messages[: first + 1]


class _Boundless:
    """What `Intake` needs of a backend, with a window that holds any prompt."""

    def __init__(self, backend: StepBackend) -> None:
        self.facts = replace(backend.facts, context=_BOUNDLESS)
        self.tokenize, self.piece, self.special_text = backend.tokenize, backend.piece, backend.special_text
        self.token_of, self.token_table = backend.token_of, backend.token_table
        self.media = backend.media

"""The one face of the engine that `tui`, `api`, `evals` and `cli` see.

`LocalEngine` implements it in this process; an engine across the network will too, which is why nothing here
hands out an object that could not travel: requests, events and records are the Structs of `engine.types`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from engine.conversations.face import Conversations
from engine.jobs.face import Jobs
from engine.metrics.face import Metrics
from engine.settings import Settings
from engine.types import (
    Alias,
    CacheScan,
    Embeddings,
    EmbedRequest,
    Estimate,
    Fit,
    Freed,
    GenerationRequest,
    Hardware,
    HardwarePoint,
    HubCard,
    HubFiles,
    HubPage,
    HubQuery,
    Listed,
    LoadedModel,
    LoadOptions,
    LogLine,
    Message,
    ModelEntry,
    ModelFacts,
    NamedAlias,
    NamedPrompt,
    NewRevision,
    PullPlan,
    PullRequest,
    PullState,
    Ranking,
    RerankRequest,
    RunningRequest,
    Setup,
    StreamEvent,
    Terminal,
    Thinking,
    Tool,
    Verified,
)


class Stream(Protocol):
    """The events of one request, for one reader. A reader either iterates or drains, not both."""

    id: str

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        """Events in order, the terminal one last; may be awaited from any loop."""
        ...

    def drain(self) -> list[StreamEvent]:
        """What has come since the last call; never waits, callable from any thread. For panes with a clock."""
        ...

    def cancel(self) -> None:
        """Ask for the end, from any thread; the stream still ends with its terminal event."""
        ...

    async def wait(self) -> Terminal:
        """The terminal event; events before it are thrown away."""
        ...


class Pulling(Protocol):
    """How one pull goes on, for one reader. Who looks seldom misses states, never the last one."""

    id: str

    def __aiter__(self) -> AsyncIterator[PullState]:
        """States as they come, the one that has ended last; may be awaited from any loop."""
        ...

    def drain(self) -> PullState | None:
        """The newest state, if it has not been seen; never waits, callable from any thread."""
        ...

    def cancel(self) -> None:
        """Give it up, from any thread. What is here of it stays, and the next pull goes on from there."""
        ...

    async def wait(self) -> PullState:
        """The state that has ended."""
        ...


@runtime_checkable
class Hub(Protocol):
    """The part of the engine that finds models elsewhere and keeps those that are here in order."""

    async def search_hub(self, query: HubQuery) -> HubPage:
        """Models of the hub, and those on this machine that match; without a network only these, and why."""
        ...

    async def hub_card(self, model: str) -> HubCard:
        """What a repository says of itself."""
        ...

    async def hub_files(self, model: str) -> HubFiles:
        """The forms in which a model can be pulled, each with what it would need and whether that fits."""
        ...

    async def plan_pull(self, request: PullRequest) -> PullPlan:
        """What a pull would fetch; nothing is fetched."""
        ...

    def pull(self, request: PullRequest) -> Pulling:
        """Queue a pull and return at once; what cannot be pulled ends in a failed state."""
        ...

    def pulls(self) -> list[PullState]:
        """The pull that runs, those that wait, then those that ended."""
        ...

    async def interrupted_pulls(self) -> list[PullState]:
        """Pulls that were broken off, and of which a part is here; `pull` of the same model goes on with one."""
        ...

    async def cancel_pull(self, pull_id: str) -> bool:
        """Give a pull up; False if there is none of that id that has not ended."""
        ...

    async def newer_revisions(self, model: str | None = None) -> list[NewRevision]:
        """Whether the hub has something newer than what was pulled of `model`, or of every model."""
        ...

    async def cache_scan(self) -> CacheScan:
        """What is in the cache that all Hugging Face programs share."""
        ...

    async def cache_prune(self, *, dry_run: bool = False) -> Freed:
        """Delete what no revision uses, and partial downloads that were given up a day ago."""
        ...

    async def verify_weights(self, model: str) -> Verified:
        """Read all files of a repository in the cache and hold them against their checksums. May take minutes."""
        ...

    async def delete_weights(self, model: str, *, dry_run: bool = False) -> Freed:
        """Delete a model of the cache, or one quantisation of it. Raises ModelUnavailable while it is in use."""
        ...


@runtime_checkable
class Naming(Protocol):
    """The part of the engine that keeps aliases and named system prompts.

    Both lie in files that people edit too. Calls raise StorageFailed, with line and column, for a file that cannot be
    read; it is never written over. Wherever a model is named, an alias may be.
    """

    async def aliases(self) -> list[NamedAlias]:
        """Every alias, those that cannot be used with the reason."""
        ...

    async def alias(self, name: str) -> NamedAlias:
        """One alias. Raises ModelNotFound if there is none, InvalidSettings for one that cannot be used."""
        ...

    async def put_alias(self, name: str, alias: Alias, *, force: bool = False, overwrite: bool = True) -> str:
        """Keep `alias` under `name`; the name as it is kept. `force` takes a model that is not here.

        Raises InvalidRequest for a name or value that cannot be (one that is there already, without `overwrite`),
        ModelNotFound for a model that is not here.
        """
        ...

    async def copy_alias(self, source: str, name: str) -> str:
        """Keep an alias under another name too; that name. A copy of a model is an alias of it.

        Raises InvalidRequest if the name is taken, ModelNotFound if there is no `source`.
        """
        ...

    async def rename_alias(self, source: str, name: str) -> str:
        """Keep an alias under another name instead; that name. Raises InvalidRequest if it is taken."""
        ...

    async def remove_alias(self, name: str) -> str:
        """Forget an alias, one that cannot be used too; its name. Raises ModelNotFound."""
        ...

    async def import_alias(
        self, name: str, text: str, folder: str = "", *, force: bool = False, overwrite: bool = False
    ) -> tuple[str, ...]:
        """Make an alias of the text of an Ollama Modelfile; what was left out of it, a sentence each.

        Relative paths in it start in `folder`. Raises InvalidRequest naming the line that cannot be read, and what
        `put_alias` raises.
        """
        ...

    async def export_alias(self, name: str) -> str:
        """An alias, or a bare model, as an Ollama Modelfile."""
        ...

    async def listing(self) -> list[Listed]:
        """Models and aliases, with whether they could be loaded now, by headers alone; what could not comes last."""
        ...

    async def setup(self, name: str) -> Setup:
        """Every value that a request to a model or an alias gets without saying anything, and where it comes from."""
        ...

    async def setup_of(self, alias: Alias) -> Setup:
        """The same for an alias that is not kept, or not kept like this. Raises what `put_alias` would."""
        ...

    async def add_adapter(self, path: str, name: str | None = None) -> str:
        """Copy a LoRA adapter (a GGUF file, or a folder of PEFT or mlx-lm) into Hearth's own folder; its name.

        Raises InvalidRequest for a name that is taken, ModelLoadFailed for what is no adapter.
        """
        ...

    async def remove_adapter(self, name: str) -> None:
        """Delete an adapter from Hearth's own folder. Raises ModelNotFound for one that does not lie there."""
        ...

    async def prompts(self) -> list[NamedPrompt]:
        """Every named system prompt with its versions."""
        ...

    async def prompt(self, name: str) -> NamedPrompt:
        """One of them. Raises InvalidRequest if there is none."""
        ...

    async def put_prompt(self, name: str, text: str, note: str = "") -> int:
        """Make `text` the newest version; its number. The same text again makes none."""
        ...

    async def restore_prompt(self, name: str, version: int) -> int:
        """Make an old version the newest; its new number."""
        ...

    async def remove_prompt(self, name: str, *, force: bool = False) -> None:
        """Forget a prompt with all its versions. Raises InvalidRequest where aliases use it, without `force`."""
        ...


@runtime_checkable
class Engine(Hub, Naming, Protocol):
    """Every call may be made from any thread or loop. Calls raise `engine.errors.HearthError`."""

    def generate(self, request: GenerationRequest) -> Stream:
        """Start a request and return at once; a request that cannot be served ends in `Failed`."""
        ...

    async def load(
        self,
        model: str,
        options: LoadOptions | None = None,
        *,
        keep_alive: float | None = None,
        force: bool = False,
    ) -> None:
        """Make `model` resident. `keep_alive` in seconds as in `GenerationRequest`.

        Raises InsufficientMemory, with figures, for one that does not fit; `force` tries all the same, when every
        idle model has left.
        """
        ...

    async def unload(self, model: str) -> bool:
        """Let running requests of `model` end as cancelled and free it; False for one that was not in memory.

        Raises ModelNotFound for a name that means nothing, InvalidSettings and StorageFailed for an alias that cannot
        be read.
        """
        ...

    async def cancel(self, request_id: str) -> bool:
        """Cancel a request by id; False if it is not running."""
        ...

    async def estimate(self, model: str, options: LoadOptions | None = None) -> Estimate:
        """What loading `model` would take, and whether that fits; a file that is new here is tried on the way.

        Raises ModelLoadFailed for one that would not load, Unsupported where its backend cannot tell.
        """
        ...

    async def fits(
        self, models: Sequence[str] | None = None, options: LoadOptions | None = None
    ) -> list[Fit]:
        """Whether the models of these ids would fit, or every one that can be run, in the order of `models`.

        By headers alone, which makes it cheap; `estimate` knows one model better.
        """
        ...

    def adopt(self, settings: Settings) -> None:
        """Go by `settings` from now on, each as its mark `applies` says; what is running or loaded stays as it is."""
        ...

    async def pin(self, model: str) -> None:
        """Never send `model` away once it is loaded: neither to make room nor when its keep-alive is over."""
        ...

    async def unpin(self, model: str) -> None: ...

    def running(self) -> list[RunningRequest]: ...

    def loaded(self) -> list[LoadedModel]: ...

    async def models(self) -> list[ModelEntry]:
        """Every model that this machine could run."""
        ...

    async def facts(self, model: str) -> ModelFacts:
        """What `model` is; its weights are not loaded for it, nor for any question about text."""
        ...

    async def tokenize(self, model: str, text: str, *, special: bool = True) -> list[int]: ...

    async def detokenize(self, model: str, tokens: Sequence[int]) -> str: ...

    async def pieces(self, model: str, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token, which may be part of a character; control tokens are written out."""
        ...

    async def render(
        self,
        model: str,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        open_turn: bool = True,
        thinking: Thinking | None = None,
        template_args: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt text of a request with `messages`: with what the alias or the settings say before them, by the
        alias's template or the model's, which `thinking` and `template_args` may switch."""
        ...

    async def count(self, request: GenerationRequest) -> int:
        """How many tokens the prompt of `request` has, before anything of it is dropped to fit a window."""
        ...

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Turn texts into vectors, beside whatever else the model does."""
        ...

    async def rerank(self, request: RerankRequest) -> Ranking:
        """Score documents against a query, with a model that has a ranking head."""
        ...

    async def hardware(self) -> Hardware:
        """What the machine does now, at most a second ago. Whoever asks once a second gets even steps."""
        ...

    async def hardware_history(self, seconds: float) -> list[HardwarePoint]:
        """The last `seconds`, oldest first: fine of the last minutes that somebody looked, means before that."""
        ...

    async def request_log(self, limit: int = 100) -> list[dict[str, object]]:
        """The last finished requests, newest first, as rows of the metrics store's `requests` table."""
        ...

    async def model_log(self, limit: int = 100) -> list[dict[str, object]]:
        """What became of models, newest first, as rows of the metrics store's `model_events` table."""
        ...

    @property
    def conversations(self) -> Conversations:
        """What was said, as far as it is kept."""
        ...

    @property
    def jobs(self) -> Jobs:
        """What is to be done, and what came of it."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What was asked when by whom, how long it took, and what the machine did meanwhile."""
        ...

    def logs(self, limit: int = 500) -> list[LogLine]:
        """The newest lines of Hearth and of the models' native logs, oldest first."""
        ...

    async def close(self) -> None:
        """End streams, stop workers, write what is pending."""
        ...

"""What every route reads and answers, by its path; of several methods on one path by `METHOD path`."""

from __future__ import annotations

from typing import Any, Final

from api.openapi.native import NATIVE
from api.openapi.operation import EVENTS, LINES, Operation
from api.openapi.shapes import anthropic, hub, llama_server, ollama, openai
from api.openapi.shapes.options import Extensions, SamplingFields
from engine.types import Hardware

_FULL: Final = (SamplingFields, Extensions)
_CHAT = Operation(
    body=openai.ChatCompletionBody, also=_FULL, answer=openai.ChatCompletion, streams=EVENTS
)  # fmt: skip
_TEXTS = Operation(body=openai.CompletionBody, also=_FULL, answer=openai.Completion, streams=EVENTS)
_RESPONSE = Operation(body=openai.ResponseBody, also=_FULL, answer=openai.Response, streams=EVENTS)
_MESSAGE = Operation(body=anthropic.MessageBody, also=_FULL, answer=anthropic.MessageAnswer, streams=EVENTS)
_COUNT = Operation(body=anthropic.CountBody, answer=anthropic.CountAnswer)
_HEALTH = Operation(answer=hub.Health)
_MODELS = Operation(
    answer=openai.ModelList,
    query={"limit": "1 to 1000, 20 with the others", "after_id": "go on behind it", "before_id": "go back before it"},
)  # fmt: skip
_RERANK = Operation(body=llama_server.RerankBody, answer=llama_server.Reranked)
_MODEL_QUERY: Final = {"model": "Which model; none is the default one."}
_HERE = "/v1/responses/{response_id:str}"

OPERATIONS: Final[dict[str, Operation]] = {
    **NATIVE,
    "/": Operation(answer=str, media="text/plain"),
    "/health": _HEALTH,
    "/healthz": _HEALTH,
    "/v1/health": _HEALTH,
    "/hardware": Operation(answer=Hardware),
    "/chat": Operation(body=hub.AskBody, also=_FULL, answer=hub.Answer),
    "/ws/ticket": Operation(answer=hub.Ticket),
    "/adapters/load": Operation(body=hub.LoadAdapterBody, answer=hub.LoadedAdapter),
    "/adapters": Operation(answer=hub.Adapters),
    "/requests": Operation(answer=hub.Requests),
    "/requests/{request_id:str}": Operation(answer=hub.CancelledRequest),
    "/docs": Operation(answer=str, media="text/html"),
    "/docs/page.js": Operation(answer=str, media="text/javascript"),
    "/docs/page.css": Operation(answer=str, media="text/css"),
    "/openapi.json": Operation(answer=dict[str, Any]),
    # OpenAI
    "/v1/chat/completions": _CHAT,
    "/chat/completions": _CHAT,
    "/v1/completions": _TEXTS,
    "/completions": _TEXTS,
    "/v1/embeddings": Operation(body=openai.EmbeddingsBody, answer=openai.EmbeddingList),
    "/v1/models": _MODELS,
    "/models": _MODELS,
    "/anthropic/v1/models": _MODELS,
    "DELETE /v1/models/{name:path}": Operation(answer=openai.Deleted),
    **{
        f"{base}/models/{{name:path}}": Operation(answer=openai.ModelCard)
        for base in ("/v1", "", "/anthropic/v1")
    },
    "/v1/responses": _RESPONSE,
    "/responses": _RESPONSE,
    f"GET {_HERE}": Operation(
        answer=openai.Response,
        streams=EVENTS,
        query={"stream": "true: its events", "starting_after": "from the one behind this number"},
    ),
    f"DELETE {_HERE}": Operation(answer=openai.Deleted),
    f"{_HERE}/cancel": Operation(answer=openai.Response),
    f"{_HERE}/input_items": Operation(answer=openai.ItemList),
    "/v1/responses/compact": Operation(body=openai.CompactBody, answer=openai.Compacted),
    "/v1/responses/input_tokens": Operation(body=openai.ResponseBody, also=_FULL, answer=openai.InputTokens),
    "/v1/chat/completions/input_tokens": Operation(
        body=openai.ChatCompletionBody, also=_FULL, answer=openai.InputTokens
    ),
    "/v1/decisions": Operation(body=openai.DecisionsBody, answer=openai.Decisions),
    "/v1/systemone": Operation(body=openai.SystemOneBody, answer=openai.SystemOne),
    # Anthropic
    **{f"{base}/messages": _MESSAGE for base in ("/v1", "/anthropic/v1", "/v1/v1", "/anthropic")},
    **{f"{base}/messages/count_tokens": _COUNT for base in ("/v1", "/anthropic/v1", "/v1/v1", "/anthropic")},
    # Ollama
    "/api/generate": Operation(body=ollama.GenerateBody, answer=ollama.Generated, streams=LINES),
    "/api/chat": Operation(body=ollama.ChatBody, answer=ollama.Chatted, streams=LINES),
    "/api/embed": Operation(body=ollama.EmbedBody, answer=ollama.Embedded),
    "/api/embeddings": Operation(body=ollama.EmbeddingBody, answer=ollama.EmbeddingAnswer),
    "/api/version": Operation(answer=ollama.Version),
    "/api/status": Operation(answer=ollama.Status),
    "/api/me": Operation(refuses=401),
    "/api/signout": Operation(refuses=401),
    "/api/tags": Operation(answer=ollama.Tags),
    "/api/ps": Operation(answer=ollama.Processes),
    "/api/show": Operation(body=ollama.ShowBody, answer=ollama.Shown),
    "/api/create": Operation(body=ollama.CreateBody, answer=ollama.Progress, streams=LINES),
    "/api/push": Operation(body=ollama.NameBody, refuses=501),
    "/api/copy": Operation(body=ollama.CopyBody),
    "/api/delete": Operation(body=ollama.NameBody),
    "HEAD /api/blobs/{digest:str}": Operation(),
    "POST /api/blobs/{digest:str}": Operation(body=bytes, status=201),
    "/api/pull": Operation(body=ollama.PullBody, answer=ollama.Progress, streams=LINES),
    "/api/v0/models": Operation(answer=ollama.LmStudioList),
    "/api/v0/models/{name:path}": Operation(answer=dict[str, Any]),
    # llama-server
    "/completion": Operation(
        body=llama_server.NativeCompletionBody,
        also=_FULL,
        answer=(llama_server.NativeCompletion, list[dict[str, Any]]),
        streams=EVENTS,
    ),
    "/infill": Operation(
        body=llama_server.InfillBody, also=_FULL, answer=llama_server.NativeCompletion, streams=EVENTS
    ),
    "/models/load": Operation(body=llama_server.LoadBody, answer=llama_server.Success),
    "/models/unload": Operation(body=ollama.NameBody, answer=llama_server.Success),
    "/slots/{slot:str}": Operation(refuses=501),
    "/metrics": Operation(answer=str, media="text/plain"),
    **dict.fromkeys(("/rerank", "/reranking", "/v1/rerank", "/v1/reranking", "/v2/rerank"), _RERANK),
    "/embedding": Operation(body=llama_server.NativeEmbeddingBody, answer=list[dict[str, Any]]),
    "/embeddings": Operation(
        body=(llama_server.NativeEmbeddingBody, openai.EmbeddingsBody),
        answer=(openai.EmbeddingList, list[dict[str, Any]]),
    ),
    "GET /props": Operation(answer=dict[str, Any], query=_MODEL_QUERY),
    "POST /props": Operation(refuses=501),
    "/slots": Operation(answer=list[dict[str, Any]], query={"fail_on_no_slot": "503 when none is free"}),
    "GET /lora-adapters": Operation(answer=list[llama_server.AdapterRow], query=_MODEL_QUERY),
    "POST /lora-adapters": Operation(
        body=list[llama_server.AdapterScale], answer=llama_server.Success, query=_MODEL_QUERY
    ),
    "/tokenize": Operation(
        body=(llama_server.TokenizeBody, llama_server.TokenizePromptBody), answer=llama_server.Tokens
    ),
    "/tokenizer_info": Operation(answer=llama_server.TokenizerInfo, query=_MODEL_QUERY),
    "/detokenize": Operation(body=llama_server.DetokenizeBody, answer=llama_server.Content),
    "/apply-template": Operation(body=llama_server.TemplateBody, answer=llama_server.RenderedPrompt),
}


def operation_of(method: str, path: str) -> Operation | None:
    """What that route reads and answers; None if nobody has said."""
    return OPERATIONS.get(f"{method} {path}") or OPERATIONS.get(path)

#!/usr/bin/env bash
# Every protocol in plain HTTP. HEARTH_URL, HEARTH_MODEL and HEARTH_KEY say where, what and who.
set -euo pipefail
url="${HEARTH_URL:-http://127.0.0.1:11434}"
model="${HEARTH_MODEL:-ember}"
# Programs on the server's own machine need no key; any word will do there.
key="${HEARTH_KEY:-none}"
ask() { curl --fail-with-body --silent --show-error -H "Authorization: Bearer $key" "$@"; echo; }

echo "== the plainest: one question, one answer"
ask "$url/chat" -d '{"prompt": "What is the capital of France?", "max_tokens": 20}'

echo "== OpenAI, streamed"
ask -N "$url/v1/chat/completions" -d '{
  "model": "'"$model"'", "stream": true, "max_tokens": 12, "temperature": 0,
  "messages": [{"role": "user", "content": "Hello"}]}'

echo "== OpenAI, held to a JSON Schema"
ask "$url/v1/chat/completions" -d '{
  "model": "'"$model"'", "max_tokens": 40,
  "messages": [{"role": "user", "content": "Where is the Eiffel Tower?"}],
  "response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": {
    "type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"],
    "additionalProperties": false}}}}'

echo "== Anthropic"
ask "$url/v1/messages" -H 'anthropic-version: 2023-06-01' -d '{
  "model": "'"$model"'", "max_tokens": 12, "messages": [{"role": "user", "content": "Hello"}]}'

echo "== Ollama, with a window and a keep-alive of its own"
ask "$url/api/chat" -d '{
  "model": "'"$model"'", "stream": false, "keep_alive": "10m", "options": {"num_ctx": 1024, "num_predict": 12},
  "messages": [{"role": "user", "content": "Hello"}]}'

echo "== an alias of one's own, asked, shown and deleted"
ask "$url/api/create" -d '{
  "model": "curl-example", "from": "'"$model"'", "stream": false,
  "system": "You answer in one short sentence.", "parameters": {"temperature": 0.2, "num_predict": 30}}'
ask "$url/v1/chat/completions" -d '{"model": "curl-example", "messages": [{"role": "user", "content": "Hello"}]}'
ask "$url/api/show" -d '{"model": "curl-example"}'
ask -X DELETE "$url/api/delete" -d '{"model": "curl-example"}'

echo "== llama-server: tokens, and a grammar"
ask "$url/tokenize" -d '{"content": "Hello"}'
ask "$url/completion" -d '{"prompt": "Is the sky blue?", "n_predict": 4, "grammar": "root ::= \"yes\" | \"no\""}'

echo "== what runs and waits now"
ask "$url/requests"

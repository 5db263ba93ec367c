"""How programs are pointed at the server: short texts to copy. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Snippet(NamedTuple):
    """`what` is the client, `note` one line about it, `text` what is copied."""

    what: str
    note: str
    text: str


def snippets(url: str, model: str, *, needs_key: bool) -> list[Snippet]:
    """Texts for the server at `url`; where a key is needed it comes from the variable HEARTH_KEY."""
    shell_key = "$HEARTH_KEY" if needs_key else "hearth"
    python_key = 'os.environ["HEARTH_KEY"]' if needs_key else '"hearth"'
    header = ' \\\n  -H "Authorization: Bearer $HEARTH_KEY"' if needs_key else ""
    imports = "import os\n\n" if needs_key else ""
    return [
        Snippet(
            "curl",
            "One question, one answer",
            f"curl {url}/chat{header} \\\n  -d '{{\"prompt\": \"Why is the sky blue?\", \"model\": \"{model}\"}}'",
        ),
        Snippet(
            "curl, streamed",
            "OpenAI's protocol, word by word",
            f"curl -N {url}/v1/chat/completions{header} \\\n  -H 'Content-Type: application/json' \\\n"
            f'  -d \'{{"model": "{model}", "stream": true,\n'
            '       "messages": [{"role": "user", "content": "Why is the sky blue?"}]}\'',
        ),
        Snippet(
            "Python, openai",
            "pip install openai",
            f"{imports}from openai import OpenAI\n\n"
            f'client = OpenAI(base_url="{url}/v1", api_key={python_key})\n'
            "answer = client.chat.completions.create(\n"
            f'    model="{model}",\n'
            '    messages=[{"role": "user", "content": "Why is the sky blue?"}],\n'
            ")\nprint(answer.choices[0].message.content)",
        ),
        Snippet(
            "Python, ollama",
            "pip install ollama",
            f"{imports}from ollama import Client\n\n"
            f'client = Client(host="{url}"'
            + (', headers={"Authorization": "Bearer " + ' + python_key + "}" if needs_key else "")
            + ")\n"
            f'answer = client.chat(\n    model="{model}",\n'
            '    messages=[{"role": "user", "content": "Why is the sky blue?"}],\n'
            ")\nprint(answer.message.content)",
        ),
        Snippet(
            "Python, anthropic",
            "pip install anthropic",
            f"{imports}from anthropic import Anthropic\n\n"
            f'client = Anthropic(base_url="{url}", api_key={python_key})\n'
            "answer = client.messages.create(\n"
            f'    model="{model}", max_tokens=200,\n'
            '    messages=[{"role": "user", "content": "Why is the sky blue?"}],\n'
            ")\nprint(answer.content[0].text)",
        ),
        Snippet(
            "JavaScript, openai",
            "npm install openai",
            'import OpenAI from "openai";\n\n'
            f'const client = new OpenAI({{ baseURL: "{url}/v1", '
            + ("apiKey: process.env.HEARTH_KEY" if needs_key else 'apiKey: "hearth"')
            + " });\nconst answer = await client.chat.completions.create({\n"
            f'  model: "{model}",\n'
            '  messages: [{ role: "user", content: "Why is the sky blue?" }],\n'
            "});\nconsole.log(answer.choices[0].message.content);",
        ),
        Snippet(
            "Claude Code",
            "In the shell that starts it",
            f"export ANTHROPIC_BASE_URL={url}\nexport ANTHROPIC_AUTH_TOKEN={shell_key}\n"
            f"export ANTHROPIC_MODEL={model}\nclaude",
        ),
        Snippet(
            "Open WebUI",
            "Finds the models by Ollama's protocol",
            f"docker run -d --network host -e OLLAMA_BASE_URL={url} ghcr.io/open-webui/open-webui:main",
        ),
        Snippet("Ollama's program", "Any of its commands", f"OLLAMA_HOST={url} ollama run {model}"),
        Snippet(
            "Another Hearth",
            "From a terminal of another machine",
            f"HEARTH_KEY={shell_key if needs_key else '…'} hearth --connect {url}",
        ),
        Snippet(
            "WebSocket",
            "Streams that can be cancelled and resumed",
            f"{url.replace('http', 'ws', 1)}/ws/chat/v2\n"
            f'→ {{"type": "start", "prompt": "Why is the sky blue?", "model": "{model}"}}\n'
            '← {"type": "token", "id": …, "seq": 3, "text": …}\n'
            '→ {"type": "resume", "id": …, "after": 3}',
        ),
    ]  # fmt: skip

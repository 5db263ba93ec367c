"""The command `llm` with models of its `extra-openai-models.yaml`; run where it is installed: URL as argument."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

URL = sys.argv[1]
MODELS = """
- model_id: hearth
  model_name: ember
  api_base: {url}/v1
  supports_tools: true
  supports_schema: true
- model_id: hearth-responses
  model_name: ember
  api_base: {url}/v1
  responses: true
"""


def llm(*arguments: str) -> str:
    command = [sys.executable, "-m", "llm", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"LLM_USER_PATH": folder, "OPENAI_API_KEY": "none"}
        Path(folder, "extra-openai-models.yaml").write_text(MODELS.format(url=URL))
        assert "hearth" in llm("models")
        ask = ("-m", "hearth", "Hello", "-o", "temperature", "0", "-o", "max_tokens", "12")
        assert llm(*ask) == llm(*ask, "--no-stream") != "\n"
        assert llm("-m", "hearth-responses", "Hello").strip()
        assert llm("-m", "hearth-responses", "Hello", "--no-stream").strip()
        llm("-m", "hearth", "And?", "-c", "-o", "max_tokens", "8")
        schema = llm("-m", "hearth", "Hello", "--schema", "place int", "-o", "temperature", "0")
        assert '"place"' in schema


if __name__ == "__main__":
    main()

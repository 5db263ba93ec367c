"""From a search to an answer, on a real engine and a hub of this machine: search, pull, use, chat, delete."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub.utils.logging  # noqa: F401 - keeps the stderr of its first import, which shall not be an app's
import pytest

from engine import paths
from engine.local import LocalEngine
from engine.settings import Settings
from tests.hub.conftest import hub
from tests.hub.server import HubServer
from tests.tui.shell.screen_text import shown, until
from tests.weights import tiny_chat
from tui.app import HearthApp
from tui.screens.chat.screen import ChatScreen
from tui.screens.models.hub import ResultTable
from tui.screens.models.local import ModelTable
from tui.workspaces import WORKSPACES

__all__ = ["hub"]
NAME = "org/tiny-GGUF"


@pytest.mark.long
async def test_a_model_is_found_pulled_chatted_with_and_deleted(
    hub: HubServer, hearth_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tiny_chat(tmp_path).read_bytes()
    about = {"tags": ["gguf", "license:mit"], "downloads": 5, "gguf": {"total": 3, "architecture": "llama"}}
    hub.add(
        NAME,
        {
            "README.md": b"---\nx: y\n---\n# A [tiny] model\n",
            "tiny-Q4_K_M.gguf": content,
            "tiny-Q8_0.gguf": content,
        },
        about=about,
    )
    hub.add("org/other-GGUF", {"other.gguf": b"x"}, about=about)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    engine = LocalEngine(Settings())
    app = HearthApp(engine, Settings(), paths=paths.resolve(), workspaces=WORKSPACES[:2])
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: isinstance(app.screen, ChatScreen))
            await pilot.press("alt+2")
            await until(pilot, lambda: isinstance(app.focused, ModelTable) and app.focused.row_count > 0)
            await pilot.press("h")
            await until(pilot, lambda: "2 at the hub" in shown(app))
            await pilot.press("slash", *"tiny", "down")
            await until(pilot, lambda: "1 at the hub" in shown(app) and isinstance(app.focused, ResultTable))
            await until(pilot, lambda: "★ Q4_K_M" in shown(app) and "A [tiny] model" in shown(app))
            await pilot.press("p")
            await until(pilot, lambda: f"● {NAME}:Q4_K_M" in shown(app))
            await until(pilot, lambda: "● here" in shown(app))
            await pilot.press("h")
            await until(pilot, lambda: isinstance(app.focused, ModelTable))
            table = app.screen.query_one(ModelTable)
            await until(pilot, lambda: table.row_count == 1 and NAME in str(table.get_row_at(0)[1]))
            await pilot.press("enter")
            await until(pilot, lambda: app.chat_model == f"{NAME}:Q4_K_M")
            await pilot.press("alt+1")
            await until(pilot, lambda: isinstance(app.screen, ChatScreen))
            chat = app.screen
            assert isinstance(chat, ChatScreen)
            chat.presenter.current.controls.max_tokens = 4
            chat.composer.prompt.focus()
            chat.composer.prompt.load("hello")
            await pilot.press("enter")
            await until(pilot, lambda: bool(chat.presenter.current.path()) and not chat.presenter.running_ids)
            answer = chat.presenter.current.path()[-1]
            assert answer.role == "assistant" and answer.error is None
            assert answer.usage is not None and answer.usage.completion_tokens > 0
            # What answers is not deleted; once it is unloaded, it is.
            await pilot.press("alt+2")
            await until(pilot, lambda: "● ready" in shown(app))
            await pilot.press("d")
            await until(pilot, lambda: app.screen.is_modal and "Unload it first" in shown(app))
            await pilot.press("escape")
            await until(pilot, lambda: not app.screen.is_modal)
            await pilot.press("u")
            await until(pilot, lambda: "● ready" not in shown(app) and not engine.loaded())
            await pilot.press("d")
            await until(pilot, lambda: f"Delete {NAME}:Q4_K_M?" in shown(app))
            await pilot.press("y")
            await until(pilot, lambda: table.row_count == 0)
            assert "q4_k_m" not in " ".join(entry.id.lower() for entry in await engine.models())
    finally:
        await engine.close()

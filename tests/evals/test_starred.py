"""A dataset of starred messages: what was asked with all before it, the answer that was found good as the reference."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from PIL import Image

from engine import LocalConversations
from engine.errors import InvalidRequest
from engine.paths import Paths
from engine.types import Attachment, ConversationChange, StoredMessage
from evals import open_dataset
from evals.starred import make


def test_starred_messages_become_rows(eval_paths: Paths, tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    shown = Attachment(name="red.png", path=str(picture), media_type="image/png")
    talk = [
        StoredMessage(id="q1", role="user", content="Hello"),
        StoredMessage(id="a1", parent="q1", role="assistant", content="Hello to you."),
        StoredMessage(
            id="q2", parent="a1", role="user", content="What is this? @red.png", attachments=(shown,)
        ),
        StoredMessage(id="a2", parent="q2", role="assistant", content="A blue square."),
        StoredMessage(id="a3", parent="q2", role="assistant", content="A red square.", starred=True),
        StoredMessage(id="q3", role="user", content="On another branch?", starred=True),
    ]
    path = tmp_path / "sets" / "starred.jsonl"

    async def work() -> int:
        kept = LocalConversations(eval_paths)
        try:
            with pytest.raises(InvalidRequest, match="No message is starred"):
                await make(kept, path)
            change = ConversationChange(title="Squares", settings={"system": "Be brief."})
            await kept.save("talk", talk, change)
            await kept.save("other", [StoredMessage(id="x", role="user", content="?", starred=True)])
            await kept.delete(["other"])
            return await make(kept, path)
        finally:
            await kept.close()

    assert asyncio.run(work()) == 2
    first, second = open_dataset(str(path)).samples
    assert (first.id, first.turns, first.system, first.category) == (
        "talk.q2",
        ("What is this?",),
        "Be brief.",
        "Squares",
    )
    assert [(each.role, each.text) for each in first.history] == [
        ("user", "Hello"),
        ("assistant", "Hello to you."),
    ]
    assert first.rubric is not None and first.rubric.endswith("A red square.")
    assert first.images[0].data == picture.read_bytes()
    assert (second.turns, second.rubric) == (("On another branch?",), None)
    assert path.stat().st_mode & 0o077 == 0
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2

"""Reads the keymap file: TOML tables that give actions other keys.

    [app]
    palette = "f12"
    [models]
    load = ["l", "ctrl+enter"]

A line that cannot be used is left out and named; the rest holds.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.keys import Keys, _character_to_key

from engine.text_safety import plain
from tui.actions import Action, ActionRegistry

MODIFIERS = frozenset({"ctrl", "alt", "shift", "super", "meta", "hyper"})
_NAMED = {key.value for key in Keys} | {f"f{number}" for number in range(1, 25)}


@dataclass(frozen=True, slots=True)
class Keymap:
    """`keys` by action name, ready for `App.set_keymap`; `problems` are sentences for people."""

    keys: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def load(path: Path, actions: ActionRegistry) -> Keymap:
    """The keymap in `path`; a missing file is an empty one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Keymap()
    except (OSError, UnicodeDecodeError) as error:
        return Keymap(problems=(f"The keymap {path} cannot be read: {plain(str(error))}.",))
    try:
        return parse(tomllib.loads(text), actions)
    except tomllib.TOMLDecodeError as error:
        return Keymap(problems=(f"The keymap {path} is not TOML: {plain(str(error))}.",))


def parse(tables: Mapping[str, Any], actions: ActionRegistry) -> Keymap:
    """The keymap that `tables` asks for."""
    chosen: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for name, value in _flat(tables):
        try:
            action = _action(name, actions)
            chosen[action.name] = tuple(_key(name, key) for key in _listed(name, value))
        except ValueError as error:
            problems.append(str(error))
    for first, second, key in _conflicts(actions, chosen):
        # The later of two wishes gives way; a default that is in the way is named with the remedy.
        loser = second if second in chosen else first
        chosen.pop(loser, None)
        problems.append(
            f"`{loser}` cannot have {key}: `{first if loser == second else second}` has it. "
            "Give that one another key too."
        )
    chosen |= _bystanders(actions, chosen)
    return Keymap({name: ",".join(keys) for name, keys in chosen.items()}, tuple(problems))


def _bystanders(actions: ActionRegistry, chosen: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Actions that share a default key with a chosen one: Textual takes the key from both, so they ask for it."""
    freed = {(action.scope, key) for action in actions if action.name in chosen for key in action.keys}
    return {
        action.name: action.keys
        for action in actions
        if action.name not in chosen and any((action.scope, key) in freed for key in action.keys)
    }


def _flat(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tables.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield plain(prefix + name), value


def _action(name: str, actions: ActionRegistry) -> Action:
    action = actions.get(name)
    if action is None:
        near = difflib.get_close_matches(name, [action.name for action in actions], n=1)
        raise ValueError(f"No action is called `{name}`." + (f" Did you mean `{near[0]}`?" if near else ""))
    return action


def _listed(name: str, value: Any) -> list[str]:
    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"`{name}` needs a key or a list of keys.")
    return keys


def _key(name: str, key: str) -> str:
    """`key` in Textual's spelling."""
    key = key.strip()
    if len(key) == 1:
        return _character_to_key(key)
    *modifiers, last = key.lower().split("+")
    if not set(modifiers) <= MODIFIERS or not (len(last) == 1 or last in _NAMED or _is_character(last)):
        raise ValueError(
            f"`{name}`: `{plain(key)}` is no key. Write it like ctrl+k, f5, alt+1 or question_mark."
        )
    return "+".join([*modifiers, last])


def _is_character(name: str) -> bool:
    """Whether `name` is Textual's name of a character, such as `question_mark`."""
    return any(_character_to_key(chr(code)) == name for code in range(33, 127))


def _conflicts(
    actions: ActionRegistry, chosen: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, str, str]]:
    """Pairs of actions that would answer to one key at once: same scope, or one of them a priority of the app."""
    holders: dict[tuple[str, str], str] = {}
    priority: dict[str, str] = {}
    for action in actions:
        for key in chosen.get(action.name, action.keys):
            rival = holders.get((action.scope, key)) or priority.get(key)
            if rival is not None and (action.name in chosen or rival in chosen):
                yield rival, action.name, key
            holders[action.scope, key] = action.name
            if action.priority and action.scope == "app":
                priority[key] = action.name

"""The settings as a flat list of dotted keys with types: to check, explain and describe them one by one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec.inspect as mi
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import fields

from engine.settings.marks import Applies
from engine.settings.schema import Settings


class Setting(Struct, frozen=True, kw_only=True):
    """One setting: its dotted key, its type for `msgspec.convert`, and what the schema says about it."""

    key: str
    type: Any
    default: Any
    description: str
    expects: str
    """What it takes, for people: "a whole number from 1 to 65535"."""
    is_text: bool
    """Whether it takes text as it stands, so that a variable's value is not read as TOML."""
    is_list: bool
    duration: bool = False
    size: bool = False
    path: bool = False
    own: bool = False
    named: str = ""
    """Its key within the section where that may hold dots: a name that a person gave."""
    others: bool = False
    """Whether it takes the keys of its section that are no settings."""
    lines: bool = False
    """Whether it is text of several lines."""
    secret: bool = False
    applies: Applies = "start"
    """From when on a running workstation goes by a changed value."""
    choices: tuple[str, ...] = ()
    """All that it may be, where that is one of a few words."""
    is_switch: bool = False
    """Whether it is true or false."""

    @property
    def section(self) -> str:
        """The table that it stands in: `ui`, `generation.sampling`."""
        return self.key.removesuffix(f".{self.name}")

    @property
    def name(self) -> str:
        """Its key within the section."""
        return self.named or self.key.rpartition(".")[2]

    @property
    def optional(self) -> bool:
        """Whether it may be not set at all."""
        return self.default is None


@cache
def catalogue() -> dict[str, Setting]:
    """Every setting by its dotted key, in the order of the schema."""
    return {setting.key: setting for setting in _settings(Settings, "")}


@cache
def sections() -> dict[str, str]:
    """What each section is for, by its dotted name, in the order of the schema."""
    return dict(_sections(Settings, ""))


@cache
def tables() -> frozenset[str]:
    """The dotted names of the tables: `server`, `generation.sampling` and so on."""
    return frozenset(
        ".".join(parts[:depth])
        for parts in (key.split(".") for key in catalogue())
        for depth in range(1, len(parts))
    )


@cache
def others() -> dict[str, Setting]:
    """By section, the setting that takes what is none of the section's settings."""
    return {key.rpartition(".")[0]: setting for key, setting in catalogue().items() if setting.others}


def near(key: str) -> list[str]:
    """Known keys that resemble `key`, the likeliest first; `log_level` finds `log.level`."""
    known = [*catalogue(), *sorted(tables())]
    flat: dict[str, str] = {}
    for name in known:
        for spelling in (name, name.replace(".", "_"), name.rpartition(".")[2]):
            flat.setdefault(spelling, name)
    found = difflib.get_close_matches(key, flat, n=4, cutoff=0.6)
    found += difflib.get_close_matches(key.rpartition(".")[2], flat, n=2, cutoff=0.75)
    return list(dict.fromkeys(flat[spelling] for spelling in found))[:3]


def _settings(table: type[Struct], prefix: str) -> list[Setting]:
    found: list[Setting] = []
    for known in fields(table):
        key = prefix + known.name
        if isinstance(known.type, type) and issubclass(known.type, Struct):
            found += _settings(known.type, key + ".")
            continue
        meta = _meta(known.type)
        info = mi.type_info(known.type)
        extra = meta.extra or {}
        default = known.default if known.default is not NODEFAULT else None
        if known.default_factory is not NODEFAULT:
            default = known.default_factory()
        found.append(
            Setting(
                key=key,
                type=known.type,
                default=default,
                description=meta.description or "",
                expects=next((words for kind, words in _WORDS.items() if extra.get(kind)), expected(info)),
                is_text=_holds(info, mi.StrType, mi.LiteralType),
                is_list=_holds(info, mi.VarTupleType),
                duration=bool(extra.get("duration")),
                size=bool(extra.get("size")),
                path=bool(extra.get("path")),
                own=bool(extra.get("own")),
                others=bool(extra.get("others")),
                lines=bool(extra.get("lines")),
                secret=bool(extra.get("secret")),
                applies=extra.get("applies", "start"),
                choices=_choices(known.type),
                is_switch=_holds(info, mi.BoolType),
            )
        )
    return found


def _sections(table: type[Struct], prefix: str) -> Iterator[tuple[str, str]]:
    for known in fields(table):
        if isinstance(known.type, type) and issubclass(known.type, Struct):
            yield prefix + known.name, " ".join((known.type.__doc__ or "").split())
            yield from _sections(known.type, f"{prefix}{known.name}.")


def _meta(annotation: Any) -> Meta:
    if get_origin(annotation) is Annotated:
        for part in get_args(annotation)[1:]:
            if isinstance(part, Meta):
                return part
    return Meta()


def _holds(info: mi.Type, *kinds: type[mi.Type]) -> bool:
    if isinstance(info, mi.Metadata):
        return _holds(info.type, *kinds)
    if isinstance(info, mi.UnionType):
        return any(_holds(part, *kinds) for part in info.types)
    if isinstance(info, mi.LiteralType):
        return mi.LiteralType in kinds and all(isinstance(value, str) for value in info.values)
    return isinstance(info, kinds)


def _choices(annotation: Any) -> tuple[str, ...]:
    """The words of a `Literal`, in the order in which the schema gives them."""
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    parts = get_args(annotation) if get_origin(annotation) in (Annotated, Union, UnionType) else ()
    return next((found for part in parts if (found := _choices(part))), ())


_WORDS = {
    "duration": "a duration: seconds, or text such as 90s, 5m or 1h30m",
    "size": "a size: bytes, or text such as 800MB, 12GB or 1.5GiB",
}


def expected(info: mi.Type) -> str:
    """What a value of the type `info` may be, in words."""
    match info:
        case mi.Metadata():
            return expected(info.type)
        case mi.UnionType():
            return " or ".join(expected(part) for part in info.types if not isinstance(part, mi.NoneType))
        case mi.BoolType():
            return "true or false"
        case mi.IntType():
            return "a whole number" + _bounds(info)
        case mi.FloatType():
            return "a number" + _bounds(info)
        case mi.StrType():
            return f"text of the form {info.pattern}" if info.pattern else "text"
        case mi.LiteralType():
            return "one of " + ", ".join(str(value) for value in info.values)
        case mi.VarTupleType():
            return f"a list, each item {expected(info.item_type)}"
        case mi.DictType():
            return f"a table from {expected(info.key_type)} to {expected(info.value_type)}"
        case _:
            return "a value"


def _bounds(info: mi.IntType | mi.FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {info.ge} to {info.le}"
    if info.ge is not None:
        return f", at least {info.ge}"
    if info.gt is not None:
        return f" above {info.gt}" + (f", at most {info.le}" if info.le is not None else "")
    return f", at most {info.le}" if info.le is not None else ""

"""OpenAI's tools, tool choice and response format."""

from __future__ import annotations

from typing import Any, Final

from api.reading.fields import Fields, as_kind
from engine.errors import InvalidRequest, Unsupported
from engine.types import Constraint, Tool, ToolChoice

MAX_TOOLS: Final = 256


def tools_of(fields: Fields) -> tuple[Tool, ...]:
    """`tools`, and the older `functions`."""
    listed = fields.take("tools", list[dict[str, Any]]) or []
    functions = fields.take("functions", list[dict[str, Any]]) or []
    listed = [*listed, *({"type": "function", "function": each} for each in functions)]
    if len(listed) > MAX_TOOLS:
        raise InvalidRequest("There are too many tools.", f"At most {MAX_TOOLS}.", param="tools")
    return tuple(_tool(each, f"tools[{place}]") for place, each in enumerate(listed))


def tool_choice_of(fields: Fields) -> ToolChoice:
    """`tool_choice` and `parallel_tool_calls`, or the older `function_call`."""
    parallel = fields.take("parallel_tool_calls", bool)
    value = fields.any("tool_choice")
    if value is None:
        value = fields.any("function_call")
    parallel = True if parallel is None else parallel
    match value:
        case None | "auto":
            return ToolChoice(parallel=parallel)
        case "none" | "required":
            return ToolChoice(mode=value, parallel=parallel)
        case "any":
            return ToolChoice(mode="required", parallel=parallel)
        case {"type": "function", "function": {"name": str(name)}} | {"type": "function", "name": str(name)}:
            return ToolChoice(mode="named", names=(name,), parallel=parallel)
        case {"type": "custom", "custom": {"name": str(name)}}:
            return ToolChoice(mode="named", names=(name,), parallel=parallel)
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}:
            return _allowed(mode, tools, parallel)
        case {"name": str(name)}:
            return ToolChoice(mode="named", names=(name,), parallel=parallel)
    raise InvalidRequest(
        "`tool_choice` has a value that cannot be used.",
        fix='Send "none", "auto", "required", or {"type": "function", "function": {"name": …}}.',
        param="tool_choice",
    )


def offered(tools: tuple[Tool, ...], choice: ToolChoice) -> tuple[tuple[Tool, ...], ToolChoice]:
    """Tools and choice as the engine takes them: `auto` among some is `auto` with those alone."""
    if choice.mode == "auto" and choice.names:
        return tuple(tool for tool in tools if tool.name in choice.names), ToolChoice(
            parallel=choice.parallel
        )
    if choice.mode == "named":
        missing = [name for name in choice.names if name not in {tool.name for tool in tools}]
        if missing:
            raise InvalidRequest(
                f"`tool_choice` names a tool that is not offered: {missing[0][:80]!r}.", param="tool_choice"
            )
    return tools, choice


def format_of(fields: Fields) -> Constraint | None:
    """`response_format`."""
    return form_of(fields.take("response_format", dict[str, Any]))


def form_of(value: dict[str, Any] | None) -> Constraint | None:
    """The form of an answer, with the schema where either family of clients puts it."""
    if not value:
        return None
    match value.get("type"):
        case "text":
            # It is said, so it goes before what an alias says.
            return Constraint(kind="text")
        case "json_object":
            schema = value.get("schema")
            return Constraint(kind="json") if schema is None else Constraint(kind="schema", value=schema)
        case "json_schema":
            inner = value.get("json_schema", value)
            inner = as_kind(inner, dict[str, Any], "response_format.json_schema")
            if inner.get("schema") is None:
                raise InvalidRequest("`response_format` has no schema.", param="response_format")
            strict = inner.get("strict")
            return Constraint(
                kind="schema",
                value=inner["schema"],
                strict=strict is not False,
                name=inner.get("name") if isinstance(inner.get("name"), str) else None,
            )
        case "grammar" if isinstance(value.get("grammar"), str):
            return Constraint(kind="grammar", value=value["grammar"])
    raise InvalidRequest(
        "`response_format` is of a type that is not known.",
        "It is text, json_object or json_schema.",
        param="response_format",
    )


def _tool(value: dict[str, Any], where: str) -> Tool:
    match value.get("type", "function"):
        case "function":
            function = as_kind(value.get("function", value), dict[str, Any], f"{where}.function")
        case "custom":
            function = as_kind(value.get("custom", value), dict[str, Any], f"{where}.custom")
            text = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
            function = {**function, "parameters": text}
        case kind:
            raise Unsupported(
                f"`{where}` is a tool that is not here: {str(kind)[:40]!r}.",
                "Tools of type function are offered to the model; it has no others.",
                "Leave it out.",
                param="tools",
            )
    fields = Fields(function, where)
    return Tool(
        name=fields.need("name", str),
        description=fields.take("description", str) or "",
        parameters=fields.take("parameters", dict[str, Any]),
        strict=fields.take("strict", bool) or False,
    )


def _allowed(mode: Any, tools: list[Any], parallel: bool) -> ToolChoice:
    names = []
    for each in tools:
        function = each.get("function", each) if isinstance(each, dict) else {}
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            names.append(function["name"])
    if not names or mode not in ("auto", "required"):
        raise InvalidRequest("`tool_choice.allowed_tools` cannot be read.", param="tool_choice")
    return ToolChoice(mode="auto" if mode == "auto" else "named", names=tuple(names), parallel=parallel)

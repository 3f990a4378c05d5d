"""What a struct's fields are called, hold and mean, in words."""

from __future__ import annotations

import ast
import enum
import inspect
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

_PLAIN: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Any: "anything",
    dict: "object",
    list: "list",
    tuple: "list",
}


@dataclass(frozen=True)
class Field:
    """A field as programs see it. ``meaning`` is the text under it in the code."""

    key: str
    kind: Any
    meaning: str
    required: bool
    default: Any


def fields(struct: type[msgspec.Struct]) -> Iterator[Field]:
    """The fields of a struct in their order."""
    hints = get_type_hints(struct, include_extras=True)
    meanings = _meanings(struct)
    for one in msgspec.structs.fields(struct):
        default = one.default
        if one.default_factory is not msgspec.NODEFAULT:
            default = one.default_factory()
        yield Field(one.encode_name, hints[one.name], meanings.get(one.name, ""), one.required, default)


def shown(kind: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return shown(arguments[0])
    if origin in (Union, types.UnionType):
        parts = [shown(one) for one in arguments if one not in (type(None), msgspec.UnsetType)]
        text = " or ".join(dict.fromkeys(parts))
        return f"{text} or `null`" if type(None) in arguments else text
    if origin is Literal:
        return _one_of(arguments)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _one_of([one.value for one in kind])
    if origin is list or (origin is tuple and len(arguments) == 2 and arguments[1] is ...):
        inner = shown(arguments[0])
        return "list" if inner == "anything" else f"list of {_many(inner)}"
    if origin is dict and arguments[1] is not Any:
        return f"object: {shown(arguments[0])} → {shown(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "object"
    return _PLAIN.get(origin or kind, getattr(kind, "__name__", str(kind)))


def bounds(kind: Any) -> str:
    """What limits the values of a type, in words; empty if nothing does."""
    found: list[str] = []
    for one in _metas(kind):
        low = f"from {_number(one.ge)}" if one.ge is not None else ""
        low = f"above {_number(one.gt)}" if one.gt is not None else low
        high = f"to {_number(one.le)}" if one.le is not None else ""
        found.append(" ".join(filter(None, (low, high))))
    return ", ".join(dict.fromkeys(filter(None, found)))


def _metas(kind: Any) -> Iterator[msgspec.Meta]:
    if get_origin(kind) is Annotated:
        yield from (one for one in get_args(kind)[1:] if isinstance(one, msgspec.Meta))
    elif get_origin(kind) in (Union, types.UnionType):
        for one in get_args(kind):
            yield from _metas(one)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _one_of(values: Any) -> str:
    return "one of " + ", ".join(f"`{value}`" for value in values)


def _many(inner: str) -> str:
    plural = {"text": "texts", "object": "objects", "whole number": "whole numbers", "number": "numbers"}
    return plural.get(inner, inner)


@cache
def _meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The text under each field, those of the bases too."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if base in (object, msgspec.Struct) or not issubclass(base, msgspec.Struct):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for before, after in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[before.target.id] = " ".join(text.value.replace("``", "`").split())
    return found

"""Reading YAML by its nodes, so that whatever is wrong is said with its line."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import yaml

from voz_streamkit.reload import FileError


def compose(text: str) -> yaml.Node:
    """The document's node. Raises FileError with the line where it is not YAML."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise FileError("", line, error.problem or "not YAML") from error
    except yaml.YAMLError as error:
        raise FileError("", None, str(error)) from error
    if node is None:
        raise FileError("", 1, "the file is empty")
    return node


def refuse(node: yaml.Node, message: str) -> NoReturn:
    """Say that this node can't be used."""
    raise FileError("", node.start_mark.line + 1, message)


def mapping(node: yaml.Node, known: Collection[str], required: Collection[str] = ()) -> dict[str, yaml.Node]:
    """The values of a mapping by name; names outside `known` and missing ones are refused."""
    found = open_mapping(node)
    for key, _ in node.value:
        if key.value not in known:
            close = difflib.get_close_matches(key.value, known, 1)
            meant = f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(known)}"
            refuse(key, f"unknown field `{key.value}`{meant}")
    for name in required:
        if name not in found:
            refuse(node, f"`{name}` is missing")
    return found


def open_mapping(node: yaml.Node) -> dict[str, yaml.Node]:
    """The values of a mapping whose names are free."""
    if not isinstance(node, yaml.MappingNode):
        refuse(node, "expected a mapping (`name: value`)")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = str(scalar(key))
        if name in found:
            refuse(key, f"`{name}` stands here twice")
        found[name] = value
    return found


def sequence(node: yaml.Node) -> list[yaml.Node]:
    """The items of a list that is not empty."""
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        refuse(node, "expected a list that is not empty")
    return list(node.value)


def scalar(node: yaml.Node) -> Any:
    """A single value as YAML reads it."""
    if not isinstance(node, yaml.ScalarNode):
        refuse(node, "expected a single value")
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        refuse(node, f"can't be read: {error}")


def text(node: yaml.Node, pattern: str = r"(?s).*\S.*", meant: str = "a text that is not empty") -> str:
    """A text as it was written (`1.0` stays `1.0`), of a form."""
    if not isinstance(node, yaml.ScalarNode) or not re.fullmatch(pattern, node.value):
        refuse(node, f"expected {meant}")
    return str(node.value).strip()


def boolean(node: yaml.Node) -> bool:
    """true or false."""
    value = scalar(node)
    if not isinstance(value, bool):
        refuse(node, "expected true or false")
    return value


def number(node: yaml.Node) -> float:
    """A finite number."""
    value = scalar(node)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        refuse(node, "expected a number")
    return float(value)


def words(node: yaml.Node, vocabulary: Collection[str] | None) -> frozenset[str]:
    """One word or a list of them, each of the vocabulary when there is one."""
    items = [node] if isinstance(node, yaml.ScalarNode) else sequence(node)
    for item in items:
        found = text(item)
        if vocabulary is not None and found not in vocabulary:
            refuse(item, f"`{found}` is not one of: {', '.join(vocabulary)}")
    return frozenset(text(item) for item in items)


def ends(node: yaml.Node, lowest: float, highest: float) -> Mapping[str, float | None]:
    """`{min: …, max: …}`, at least one of them, both within what is possible."""
    fields = mapping(node, ("min", "max"))
    if not fields:
        refuse(node, "expected `min`, `max` or both")
    for end in fields.values():
        if not lowest <= number(end) <= highest:
            refuse(end, f"outside {lowest:g}…{highest:g}")
    minimum, maximum = (number(fields[name]) if name in fields else None for name in ("min", "max"))
    if minimum is not None and maximum is not None and minimum > maximum:
        refuse(node, "`min` is greater than `max`")
    return {"minimum": minimum, "maximum": maximum}

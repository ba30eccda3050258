"""The fields of the plain form by their dotted names, and values as each of them takes it.

Tables and mappings give what they have, which may be a string where a number is meant, or a number for an id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TEXT, NUMBER, COUNT, FLAG, AMOUNT, TIME = "text", "number", "count", "flag", "amount", "time"

FREE = ("attributes", "profile")
"""Groups whose names are anybody's: `attributes.product`."""
FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("id", "source", "channel", "kind", "audience", "direction", "text", "language"), TEXT),
    **dict.fromkeys(("customer.id", "customer.handle", "customer.name"), TEXT),
    **dict.fromkeys(("conversation.id", "conversation.reply_to"), TEXT),
    **dict.fromkeys(("survey.metric", "survey.question", "survey.comment"), TEXT),
    **dict.fromkeys(("transaction.type", "transaction.currency", "transaction.order_id"), TEXT),
    **dict.fromkeys(("subscription.status", "subscription.plan"), TEXT),
    **dict.fromkeys(("behaviour.type", "behaviour.url", "behaviour.element"), TEXT),
    **dict.fromkeys(("ticket.id", "ticket.status", "ticket.priority", "ticket.assignee"), TEXT),
    **dict.fromkeys(("survey.score", "survey.scale.min", "survey.scale.max", "behaviour.x", "behaviour.y"), NUMBER),
    **dict.fromkeys(("customer.reach", "behaviour.viewport.width", "behaviour.viewport.height"), COUNT),
    "survey.scale.inverted": FLAG,
    "transaction.amount": AMOUNT,
    "occurred_at": TIME,
}
GROUPS = frozenset(name[:dot] for name in FIELDS for dot, letter in enumerate(name) if letter == ".").union(FREE)
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_WHOLE = re.compile(r"[0-9]{1,19}(\.0+)?")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")


def is_field(name: str) -> bool:
    """Whether the plain form has such a field."""
    group, _, rest = name.partition(".")
    return name in FIELDS or (group in FREE and bool(rest))


def fitted(name: str, value: Any) -> Any:
    """A value as its field takes it, where that is clear; else as it is, and the reading says what is wrong with it."""
    kind = FIELDS.get(name, "")
    if kind == TEXT and isinstance(value, (bool, int, float)):
        return _text(value)
    if not isinstance(value, str):
        return value
    said = value.strip()
    if kind == NUMBER and _NUMBER.fullmatch(said):
        return float(said)
    if kind == COUNT and _WHOLE.fullmatch(said):
        return int(said.partition(".")[0])
    if kind == FLAG:
        return _FLAGS.get(said.lower(), value)
    return said if kind == AMOUNT else value


def put(plain: dict[str, Any], name: str, value: Any) -> None:
    """Set a field by its dotted name."""
    group, _, rest = name.partition(".")
    steps = [group, rest] if group in FREE and rest else name.split(".")
    for step in steps[:-1]:
        plain = plain.setdefault(step, {})
    plain[steps[-1]] = value


def _text(value: bool | int | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)

"""Telegram's rich messages as plain text. A person sends one by pasting formatted text; it has no `text` beside it.

https://core.telegram.org/bots/api#richmessage
"""

from __future__ import annotations

from typing import Any

from voz_ingest.adapters.inbound.formats import walk

_WORDS = ("text", "alternative_text", "expression")
_LINES = ("summary", *_WORDS, "credit")
_BLOCKS = ("blocks", "items", "cells", "caption")
_DEEPEST = 16


def rich_text(message: Any) -> str:
    """The words of a rich message, a line a block."""
    return _block(walk.at(message, "rich_message", "blocks"), _DEEPEST)


def _block(value: Any, depth: int) -> str:
    """A block or a list of them; what is in a block is shown in this order: what opens it, its blocks, its caption."""
    if isinstance(value, list) and depth:
        return "\n".join(filter(None, (_block(item, depth - 1) for item in value)))
    if not isinstance(value, dict) or not depth:
        return value.strip() if isinstance(value, str) else ""
    lines = [_inline(value.get(name), depth - 1).strip() for name in _LINES]
    blocks = [_block(value.get(name), depth - 1) for name in _BLOCKS]
    return "\n".join(filter(None, (*lines[:-1], *blocks, lines[-1])))


def _inline(value: Any, depth: int) -> str:
    """Words with their formatting: a string, an array of such, or an object that holds them."""
    if isinstance(value, list) and depth:
        return "".join(_inline(item, depth - 1) for item in value)
    if isinstance(value, dict) and depth:
        return _inline(next((value[name] for name in _WORDS if name in value), ""), depth - 1)
    return value if isinstance(value, str) else ""

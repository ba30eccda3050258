"""Lists are `{"items": […], "next": cursor or null}`; a cursor is opaque to its reader."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from voz_streamkit.http.problems import FieldError, Problem


def page(items: Sequence[Any], following: str | None) -> dict[str, Any]:
    """One page; `following` is the cursor of the next one."""
    return {"items": items, "next": following}


def encode_cursor(*values: str | int | float | None) -> str:
    """A cursor that holds these values."""
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[Any]:
    """The values of a cursor. Raises Problem 422 for what isn't one of ours."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        values = None
    if not isinstance(values, list) or len(values) != length:
        detail = "not a cursor of this list; start again without one"
        raise Problem(
            422, "The request is not valid; `errors` says where.", errors=[FieldError("/query/cursor", detail)]
        )
    return values

"""What a client is told of its events."""

from __future__ import annotations

from typing import Any

import orjson

from voz_ingest.ports import LogUnavailableError
from voz_ingest.use_cases import Outcome, Rejected
from voz_streamkit.http.hot import Answer
from voz_streamkit.http.problems import FieldError, Problem

MAX_ERRORS = 1000
"""Errors that a 422 lists: a body full of garbage is not worth a longer answer."""


def answer(outcome: Outcome, *, many: bool, status: int = 202, nothing_is_fine: bool = False) -> Answer:
    """202 when something was accepted. Raises Problem 422 when nothing was, unless there was nothing to accept and that
    is fine; `many`: pointers begin with the index."""
    if not outcome.ids and not (nothing_is_fine and not outcome.rejected):
        raise _nothing_valid(outcome, many=many)
    body: dict[str, Any] = {
        "accepted": len(outcome.ids),
        "ids": outcome.ids,
        "rejected": [_rejected(rejected) for rejected in outcome.rejected] if outcome.rejected else (),
    }
    if outcome.ignored:
        body["ignored"] = [*outcome.ignored]
    return Answer(status, orjson.dumps(body))


def interrupted(error: Problem | LogUnavailableError, outcome: Outcome) -> Problem:
    """The problem that ended a submission; what had been accepted before it is an extension member."""
    accepted: dict[str, Any] = {"accepted": len(outcome.ids), "ids": outcome.ids} if outcome.ids else {}
    if isinstance(error, Problem):
        error.extra.update(accepted)
        return error
    headers = {"Retry-After": str(error.retry_after_seconds)}
    return Problem(503, f"{error.detail} Try again later, with the same ids.", headers=headers, **accepted)


def _rejected(rejected: Rejected) -> dict[str, Any]:
    """The first error in short; all of them when there are several."""
    first, *more = rejected.errors
    found: dict[str, Any] = {"index": rejected.index, "pointer": first.pointer, "detail": first.detail}
    if more:
        found["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in rejected.errors]
    return found


def _nothing_valid(outcome: Outcome, *, many: bool) -> Problem:
    if not outcome.rejected:
        return Problem(422, "The body holds no event.", errors=[FieldError("", "holds no event")])
    errors = [
        FieldError(f"/{rejected.index}{error.pointer}" if many else error.pointer, error.detail)
        for rejected in outcome.rejected[:MAX_ERRORS]
        for error in rejected.errors
    ]
    more = "" if len(errors) <= MAX_ERRORS else f" (the first {MAX_ERRORS} of them)"
    ignored: dict[str, Any] = {"ignored": [*outcome.ignored]} if outcome.ignored else {}
    return Problem(422, f"Nothing in it was valid; `errors` says why{more}.", errors=errors[:MAX_ERRORS], **ignored)

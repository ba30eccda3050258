"""How long a connector waits: what its source says about rates, and what it decides by itself after failures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 86_400.0
"""What a source may tell us to wait: a misread header must not silence it for ever."""
_RESETS = ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset")
_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
_EPOCH_FROM, _MILLISECONDS_FROM = 1e9, 1e12
"""Smaller numbers are seconds from now; larger ones a moment, in seconds or milliseconds since 1970."""


def backoff_seconds(failures: int, jitter: float, *, initial_seconds: float = 1.0, max_seconds: float = 900.0) -> float:
    """The wait after so many failures in a row, with full jitter (a uniform share of a doubling limit), so that
    connectors that fail together don't come back together. `jitter` lies in 0..1."""
    return jitter * min(max_seconds, initial_seconds * 2.0 ** min(max(failures, 1) - 1, 30))


def refusal_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """How long the source wants to be left alone, from a refusal's headers (names in lower case); None: no word.

    `Retry-After` in seconds or as a date (RFC 9110 §10.2.3), else when the rate limit is reset: in seconds from now, as
    a Unix time, or as a moment.
    """
    said = _wait(headers.get("retry-after", ""), now)
    return said if said is not None else _reset(headers, now)


def exhausted_seconds(headers: Mapping[str, str], now: datetime) -> float:
    """How long to wait after a good answer that says that nothing remains of the rate limit; else 0."""
    remaining = next((headers[name].strip() for name in _REMAINING if name in headers), "")
    return (_reset(headers, now) or 0.0) if remaining == "0" else 0.0


def _reset(headers: Mapping[str, str], now: datetime) -> float | None:
    return next((_wait(headers[name], now) for name in _RESETS if name in headers), None)


def _wait(said: str, now: datetime) -> float | None:
    said = said.strip()
    try:
        number = float(said)
    except ValueError:
        moment = _moment(said)
        return None if moment is None else _bounded((moment - now).total_seconds())
    if not number < float("inf"):
        return None
    if number >= _MILLISECONDS_FROM:
        number /= 1000
    return _bounded(number - now.timestamp() if number >= _EPOCH_FROM else number)


def _moment(said: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(said)
        except (ValueError, IndexError, OverflowError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_SECONDS)

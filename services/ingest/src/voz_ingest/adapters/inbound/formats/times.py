"""Moments as sources write them, as RFC 3339 in UTC; None for what is no moment, or is before any that events have."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any

from voz_ingest.adapters.inbound.formats import walk
from voz_ingest.domain.reading import EARLIEST

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_MILLISECONDS = 1e11
"""As seconds this would be the year 5138."""
_FRACTION = re.compile(r"(\.\d{6})\d+")
_UTC = re.compile(r"\s+(UTC|GMT)$")
_APART = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)")


def seconds(value: Any) -> str | None:
    """Unix time in seconds, a number or a string, with or without a fraction."""
    return _since_epoch(value, 1_000_000)


def milliseconds(value: Any) -> str | None:
    """Unix time in milliseconds."""
    return _since_epoch(value, 1_000)


def microseconds(value: Any) -> str | None:
    """Unix time in microseconds."""
    return _since_epoch(value, 1)


def moment(value: Any) -> str | None:
    """A time in whichever form it is: Unix time in seconds or in milliseconds, a number or a string, or ISO 8601."""
    found = walk.number(value)
    if found is None:
        return iso(value)
    return milliseconds(value) if abs(found) >= _LEAST_MILLISECONDS else seconds(value)


def iso(value: Any, zone: tzinfo = UTC) -> str | None:
    """ISO 8601 with any number of decimals; one that says no zone is in `zone`. Its zone may stand apart, or be UTC."""
    if not isinstance(value, str):
        return None
    said = _APART.sub("", _UTC.sub("Z", value.strip().upper()))
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", said))
    except ValueError:
        return None
    return rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def mail(value: Any) -> str | None:
    """The date of a mail or of an HTTP header (RFC 5322); without a known zone it is in UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    return rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def rfc3339(moment: datetime) -> str | None:
    """An aware moment, in UTC."""
    try:
        if moment < EARLIEST:  # a zero, or a slip such as stands in Google's own example of a review
            return None
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError):
        return None


def unix(value: Any) -> float | None:
    """ISO 8601 as Unix time in seconds."""
    found = iso(value)
    return None if found is None else datetime.fromisoformat(found).timestamp()


def _since_epoch(value: Any, microseconds_each: int) -> str | None:
    found = walk.number(value)
    if found is None:
        return None
    try:
        whole = (
            int(value) if isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal()) else found
        )
        return rfc3339(_EPOCH + timedelta(microseconds=round(whole * microseconds_each)))
    except (OverflowError, ValueError):
        return None

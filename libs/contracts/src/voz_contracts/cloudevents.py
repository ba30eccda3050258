"""CloudEvents 1.0 headers in Kafka's binary mode (CloudEvents Kafka Protocol Binding §3.2), on every record of Voz."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

CONTENT_TYPE = b"application/protobuf"
Headers = list[tuple[str, bytes]]

# Extension attributes on answers: which record of the source topic this one answers.
SOURCE_PARTITION = "ce_sourcepartition"
SOURCE_OFFSET = "ce_sourceoffset"


def headers(
    *, event_id: str, source: str, event_type: str, subject: str, time: datetime, traceparent: str = ""
) -> Headers:
    """Headers of one record.

    `source` is a URI reference (`/voz/ingest`), `event_type` the protobuf message's full name, `subject` the record's
    partition key; `time` is aware.
    """
    found = [
        *fixed_headers(source, event_type),
        ("ce_id", event_id.encode()),
        ("ce_time", rfc3339(time).encode()),
        ("ce_subject", subject.encode()),
    ]
    if traceparent:
        found.append(("traceparent", traceparent.encode()))
    return found


def header(record_headers: Iterable[tuple[str, bytes | None]], name: str) -> str:
    """The first header of that name; empty when there is none."""
    return next((value.decode(errors="replace") for key, value in record_headers if key == name and value), "")


def rfc3339(time: datetime) -> str:
    """RFC 3339 in UTC with `Z`; raises ValueError for a naive time."""
    if time.tzinfo is None:
        raise ValueError("a naive time has no place here")
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat()[: -len("+00:00")] + "Z"


@cache
def fixed_headers(source: str, event_type: str) -> tuple[tuple[str, bytes], ...]:
    """Those that are the same for all records of one origin and type."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_source", source.encode()),
        ("ce_type", event_type.encode()),
        ("content-type", CONTENT_TYPE),
    )

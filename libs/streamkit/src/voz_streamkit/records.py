"""A record as it came from Kafka, without the client's own classes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One record and its position: the evidence, when it turns out to be invalid.

    A missing key or value is empty. `timestamp_ms` is Kafka's, milliseconds since 1970 in UTC.
    """

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int

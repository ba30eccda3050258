"""The class of an error decides what happens to a batch.

Invalid: the record goes to the dead letters. Transient: the batch is tried again with backoff. Fenced: the positions
are read again. Anything else stops the process with nothing committed.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import asyncpg
from aiokafka.errors import KafkaError, KafkaTimeoutError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from voz_streamkit.records import Record

# PostgreSQL's SQLSTATE (appendix A of its manual). Two characters name a class of errors, five one error.
TRANSIENT_SQLSTATES = (
    "08",  # connection exceptions
    "25006",  # read-only: a primary that became a replica, before clients noticed
    "40",  # deadlock, serialization failure: the transaction was rolled back
    "53",  # out of connections, memory, disk: others may give them back
    "55P03",  # a lock was not to be had in time
    "57",  # shutting down, starting up, cancelled by an operator or by a time limit
)
DATA_SQLSTATES = (
    "22",  # data exceptions: a NUL byte in a text, a number out of range
    "23502",  # a null where none may be
    "23514",  # a check refuses the row; unique and foreign keys are left out: they can fail by a race, too
)
# With a constraint's name it is a check that refuses the row. Without one it is a partition's bounds: a partition was
# attached while the row was on its way to the default one, and next time it finds the new one.
_CHECK_VIOLATION = "23514"
_NETWORK_AWAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


class InvalidRecordError(Exception):
    """The record's own fault: it goes to the dead letters and the stream goes on.

    `reason` is one word for metrics (`undecodable`, `invalid` …), `detail` is for people. `record` names the culprit
    where the raiser held several.
    """

    def __init__(self, reason: str, detail: str, *, record: Record | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.record = reason, detail, record


class TransientError(Exception):
    """What failed will work again by itself: try again with backoff."""


class FencedError(Exception):
    """The stored offset isn't the one expected: this consumer lost its partitions to another."""


class DeadLetterLimitError(Exception):
    """Too large a share of the stream would be put aside: stop, rather than divert a healthy stream."""


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later: Kafka or PostgreSQL is away, overloaded or changing its leader."""
    return any(_is_transient(each) for each in _chain(error))


def is_data_error(error: DBAPIError) -> bool:
    """Whether PostgreSQL refused the data themselves: what makes one event's data impossible to store."""
    if any(_is_partition_attached(each) for each in _chain(error)):
        return False
    return any(sqlstate.startswith(DATA_SQLSTATES) for sqlstate in _sqlstates(error))


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, TransientError | ConnectionError | TimeoutError | PoolTimeoutError | KafkaTimeoutError):
        return True
    if isinstance(error, KafkaError):
        return bool(error.retriable)
    if isinstance(error, DBAPIError):
        invalidated: bool = error.connection_invalidated
        return invalidated or any(sqlstate.startswith(TRANSIENT_SQLSTATES) for sqlstate in _sqlstates(error))
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str):
        return sqlstate.startswith(TRANSIENT_SQLSTATES) or _is_partition_attached(error)
    # A host name that doesn't resolve for the moment, a network that is away.
    return isinstance(error, socket.gaierror) or (isinstance(error, OSError) and error.errno in _NETWORK_AWAY)


def _is_partition_attached(error: BaseException) -> bool:
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate == _CHECK_VIOLATION and not error.constraint_name


def _sqlstates(error: BaseException) -> Iterator[str]:
    for each in _chain(error):
        sqlstate = getattr(each, "sqlstate", None)
        if isinstance(sqlstate, str):
            yield sqlstate


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        original = getattr(error, "orig", None)
        error = original if isinstance(original, BaseException) else error.__cause__

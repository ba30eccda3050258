"""Which errors are worth another try, and which are the data's fault."""

from __future__ import annotations

import errno
import socket

import asyncpg
import pytest
from aiokafka import errors as kafka_errors
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from voz_streamkit.errors import FencedError, InvalidRecordError, TransientError, is_data_error, is_transient

pytestmark = pytest.mark.unit


class _WrappedError(Exception):
    """As SQLAlchemy's adapter carries an error of asyncpg's."""

    def __init__(self, original: asyncpg.PostgresError) -> None:
        super().__init__(str(original))
        self.sqlstate = original.sqlstate


def from_postgres(original: asyncpg.PostgresError, *, disconnected: bool = False) -> DBAPIError:
    return DBAPIError("select 1", {}, _WrappedError(original), connection_invalidated=disconnected)


@pytest.mark.parametrize(
    "error",
    [
        TransientError("later"),
        ConnectionRefusedError("postgres is away"),
        ConnectionResetError(),
        TimeoutError(),
        socket.gaierror("name not known for the moment"),
        OSError(errno.EHOSTUNREACH, "no route"),
        PoolTimeoutError("no connection free"),
        kafka_errors.KafkaConnectionError("kafka is away"),
        kafka_errors.KafkaTimeoutError(),
        kafka_errors.NotEnoughReplicasError(),
        kafka_errors.LeaderNotAvailableError(),
        asyncpg.CannotConnectNowError("starting up"),
        from_postgres(asyncpg.AdminShutdownError("shutting down")),
        from_postgres(asyncpg.DeadlockDetectedError("deadlock")),
        from_postgres(asyncpg.TooManyConnectionsError("full")),
        from_postgres(asyncpg.LockNotAvailableError("locked")),
        from_postgres(asyncpg.ReadOnlySQLTransactionError("replica")),
        from_postgres(asyncpg.InternalServerError("gone"), disconnected=True),
    ],
    ids=lambda error: type(getattr(error, "orig", error)).__name__ + str(error)[:20],
)
def test_transient(error: Exception) -> None:
    assert is_transient(error)
    outer = RuntimeError("within another")
    outer.__cause__ = error
    assert is_transient(outer)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        InvalidRecordError("invalid", "score out of range"),
        FencedError("lost"),
        FileNotFoundError("policy.yaml"),
        kafka_errors.TopicAuthorizationFailedError(),
        kafka_errors.MessageSizeTooLargeError(),
        asyncpg.InvalidPasswordError("wrong"),
        from_postgres(asyncpg.UndefinedTableError("no table")),
        from_postgres(asyncpg.UniqueViolationError("twice")),
        from_postgres(asyncpg.CharacterNotInRepertoireError("NUL")),
    ],
    ids=lambda error: type(error).__name__ + str(error)[:20],
)
def test_not_transient(error: Exception) -> None:
    assert not is_transient(error)


def test_the_data_are_at_fault_when_postgresql_says_so() -> None:
    assert is_data_error(from_postgres(asyncpg.CharacterNotInRepertoireError("NUL")))
    assert is_data_error(from_postgres(asyncpg.NumericValueOutOfRangeError("too large")))
    assert is_data_error(from_postgres(asyncpg.NotNullViolationError("null")))
    assert not is_data_error(from_postgres(asyncpg.UniqueViolationError("a race does that, too")))
    assert not is_data_error(from_postgres(asyncpg.UndefinedColumnError("our fault")))

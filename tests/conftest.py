"""Real servers for every test that asks for them, started when the first one does.

With VOZ_KAFKA_BOOTSTRAP or VOZ_POSTGRES_DSN set, those running servers are used instead. They are shared: a test that
kills or stops a server starts its own with `voz_devstack.testing`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from voz_devstack.testing import KafkaAddress, PostgresAddress, kafka_server, postgres_server


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaAddress]:
    """One Kafka node for the whole run. Tests share it: each uses its own `topic_prefix`."""
    named = os.environ.get("VOZ_KAFKA_BOOTSTRAP")
    if named:
        yield KafkaAddress(named)
        return
    with TemporaryDirectory(prefix="voz-test-") as folder, kafka_server(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresAddress]:
    """One PostgreSQL server for the whole run. Tests share it: each uses its own `database`."""
    named = os.environ.get("VOZ_POSTGRES_DSN")
    if named:
        yield PostgresAddress(named)
        return
    with TemporaryDirectory(prefix="voz-test-") as folder, postgres_server(Path(folder)) as server:
        yield server


@pytest.fixture
def database(postgres: PostgresAddress) -> Iterator[str]:
    """The DSN of a fresh, empty database, dropped after the test."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def topic_prefix() -> str:
    """In front of the names of this test's topics and consumer groups, such as `t3f9a0c1d-`."""
    return f"t{uuid.uuid4().hex[:8]}-"

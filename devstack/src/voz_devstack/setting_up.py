"""What the stack needs beside its Python packages: Java's and Kafka's parts, checked, and ready to start quickly."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from voz_devstack.jars import JarError, kafka_jars
from voz_devstack.kafka import KafkaError, make_aot_cache
from voz_devstack.ports import allocate_ports

Report = Callable[[str], None]


class StackError(Exception):
    """The stack can't be started. The text says what is wrong, with the last words of whoever is to blame."""


def setup(report: Report) -> None:
    """Fetch and check what the stack needs beside its Python packages. Instant when it is there."""
    if os.environ.get("VOZ_KAFKA_BOOTSTRAP"):
        return
    try:
        jars = kafka_jars(report=report)
        with tempfile.TemporaryDirectory(prefix="voz-kafka-") as scratch:
            make_aot_cache(jars, allocate_ports(("broker", "controller")), Path(scratch), report=report)
    except (JarError, KafkaError) as error:
        raise StackError(str(error)) from error

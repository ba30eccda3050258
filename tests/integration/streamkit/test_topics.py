"""`voz-topics` makes what the topics' descriptions say, alters what may be altered and reports the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from voz_contracts.topics import EVENTS, TOPICS
from voz_devstack.testing import KafkaAddress
from voz_streamkit.run import read_settings
from voz_streamkit.settings import ServiceSettings
from voz_streamkit.topics import check_topics, ensure_topics, main

pytestmark = pytest.mark.integration
T = TypeVar("T")


@pytest.fixture
def prefix(kafka: KafkaAddress, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VOZ_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("VOZ_TOPIC_PREFIX", topic_prefix)
    return topic_prefix


def administer(kafka: KafkaAddress, job: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
    async def run() -> T:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        try:
            return await job(admin)
        finally:
            await admin.close()

    return asyncio.run(run())


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What was said, by topic."""
    said = [line for line in capsys.readouterr().out.splitlines() if line.split(" ")[0] in STATES]
    return {line.split()[1].rstrip(":"): line.split()[0] for line in said}


STATES = {"ok", "created", "altered", "missing", "differs"}


def test_topics_are_missing_then_made_then_right(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    plain = [prefix + each.name for each in TOPICS if "<" not in each.name]
    arguments = ["--partitions", "2", "--queue", "care"]
    wanted = [*plain, f"{prefix}voz.queue.care"]
    assert main(["check", *arguments]) == 1
    assert lines(capsys) == dict.fromkeys(wanted, "missing")
    assert main(["apply", *arguments]) == 0
    assert lines(capsys) == dict.fromkeys(wanted, "created")
    assert main(["apply", *arguments]) == 0
    assert main(["check", *arguments]) == 0
    assert lines(capsys) == dict.fromkeys(wanted, "ok")


def test_retention_is_altered_and_what_else_was_set_stays(
    kafka: KafkaAddress, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = prefix + EVENTS.name
    other = {"retention.ms": "1000", "segment.bytes": "10485760"}
    administer(kafka, lambda admin: admin.create_topics([NewTopic(name, EVENTS.partitions, 1, topic_configs=other)]))
    while name not in administer(kafka, lambda admin: admin.list_topics()):
        continue  # brokers learn of it a moment later
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert f"differs  {name}: retention.ms is 1000, wanted 604800000" in said
    assert main(["apply"]) == 0
    assert lines(capsys)[name] == "altered"
    asked = [ConfigResource(ConfigResourceType.TOPIC, name)]
    [response] = administer(kafka, lambda admin: admin.describe_configs(asked))
    config = {entry[0]: entry[1] for entry in response.resources[0][4]}
    assert (config["retention.ms"], config["segment.bytes"]) == ("604800000", "10485760")


def test_another_number_of_partitions_is_an_error_that_says_what_to_do(
    prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "--partitions", "2"]) == 0
    capsys.readouterr()
    for command in ("check", "apply"):
        assert main([command, "--partitions", "4"]) == 1
        said = capsys.readouterr().out
        assert f"differs  {prefix}voz.events: it has 2 partitions, 4 are wanted" in said
        assert "accept what is there with --partitions 2" in said
    assert main(["check", "--partitions", "2"]) == 0


def test_fewer_copies_than_wanted_are_reported(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apply", "--partitions", "1"]) == 0
    assert main(["check", "--partitions", "1", "--replication-factor", "3"]) == 1
    assert "it has 1 copies, 3 are wanted" in capsys.readouterr().out


def test_copies_that_the_cluster_cannot_hold_are_refused(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apply", "--replication-factor", "4"]) == 1
    assert "can't be made" in capsys.readouterr().err


async def test_a_service_makes_its_queues_itself(prefix: str) -> None:
    settings = read_settings(ServiceSettings)
    made = await asyncio.gather(*(ensure_topics(settings, ["care", "billing"]) for _ in range(2)))
    names = {state.name for states in made for state in states}
    assert names == {f"{prefix}voz.queue.care", f"{prefix}voz.queue.billing"}
    assert {state.status for state in await ensure_topics(settings, ["care", "billing"])} == {"ok"}
    assert [state.status for state in await check_topics(settings, [EVENTS])] == ["missing"]

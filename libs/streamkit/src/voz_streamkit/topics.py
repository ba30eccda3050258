"""`voz-topics`: Kafka's topics as proto/topics/*.yaml describe them, made and compared."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from voz_contracts.topics import QUEUE, TOPICS, TopicSpec
from voz_streamkit.errors import TransientError
from voz_streamkit.kafka import start
from voz_streamkit.run import EXIT_FAILED, read_settings
from voz_streamkit.settings import ServiceSettings, describe

Status = Literal["ok", "created", "altered", "missing", "differs"]
_log = structlog.get_logger(__name__)
_FAMILY = "<queue>"
SEEN_SECONDS = 15.0
_OVERRIDE = 1  # a setting's source in DescribeConfigs: set on the topic itself


@dataclass(frozen=True, slots=True)
class TopicState:
    """What was found, or done, about one topic; `detail` says what differs and what to do."""

    name: str
    status: Status
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    partitions: int
    replicas: int
    config: Mapping[str, str]
    overrides: Mapping[str, str]


def queue_topic(queue: str) -> TopicSpec:
    """The topic of one queue."""
    return replace(QUEUE, name=QUEUE.name.replace(_FAMILY, queue))


async def ensure_topics(
    settings: ServiceSettings, topics: Iterable[TopicSpec | str], *, stop: asyncio.Event | None = None
) -> list[TopicState]:
    """Make what is missing of the topics (a word names a queue), and bring settings such as retention in line.

    A topic with another number of partitions is left as it is, reported and logged: its consumers work.
    """
    specs = [each if isinstance(each, TopicSpec) else queue_topic(each) for each in topics]
    states = await apply_topics(settings, specs, stop=stop)
    for state in states:
        if state.status == "differs":
            _log.warning("topic differs", topic=state.name, detail=state.detail)
    return states


async def apply_topics(
    settings: ServiceSettings, specs: Sequence[TopicSpec], *, stop: asyncio.Event | None = None
) -> list[TopicState]:
    """Make missing topics and alter settings; a different number of partitions or copies is only reported."""
    return await _with_admin(settings, specs, change=True, stop=stop)


async def check_topics(settings: ServiceSettings, specs: Sequence[TopicSpec]) -> list[TopicState]:
    """Compare, and change nothing."""
    return await _with_admin(settings, specs, change=False, stop=None)


async def _with_admin(
    settings: ServiceSettings, specs: Sequence[TopicSpec], *, change: bool, stop: asyncio.Event | None
) -> list[TopicState]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    try:
        await start(admin, stop, wait_seconds=60.0)
        found = await _describe(admin, [settings.topic(spec) for spec in specs])
        states = []
        for spec in specs:
            name = settings.topic(spec)
            states.append(await _settle(admin, name, spec, found.get(name), settings, change=change))
        changed = {state.name for state in states if state.status in ("created", "altered")}
        if changed:
            await _seen(admin, {settings.topic(spec): spec for spec in specs if settings.topic(spec) in changed})
        return states
    finally:
        await admin.close()


async def _seen(admin: AIOKafkaAdminClient, changed: Mapping[str, TopicSpec]) -> None:
    """Wait until a broker shows what was changed: the controller agrees first, brokers learn of it a moment later."""

    async def missing() -> list[str]:
        found = await _describe(admin, list(changed))
        return [
            name
            for name, spec in changed.items()
            if name not in found or not spec.config.items() <= found[name].config.items()
        ]

    retrying = AsyncRetrying(retry=retry_if_result(bool), wait=wait_fixed(0.05), stop=stop_after_delay(SEEN_SECONDS))
    try:
        await retrying(missing)
    except RetryError as error:
        raise TransientError(f"brokers don't show {error.last_attempt.result()} as they were made") from error


async def _settle(
    admin: AIOKafkaAdminClient,
    name: str,
    spec: TopicSpec,
    found: _Found | None,
    settings: ServiceSettings,
    *,
    change: bool,
) -> TopicState:
    copies = settings.kafka_replication_factor
    if found is None:
        return await _create(admin, name, spec, copies) if change else TopicState(name, "missing")
    wrong = {key: value for key, value in spec.config.items() if found.config.get(key) != value}
    problems = []
    if found.partitions != spec.partitions:
        problems.append(
            f"it has {found.partitions} partitions, {spec.partitions} are wanted: more partitions would send customers "
            "to others than their earlier events went to, fewer are impossible. Make a new topic and move its "
            f"consumers, or accept what is there with --partitions {found.partitions}"
        )
    if found.replicas < copies:
        problems.append(
            f"it has {found.replicas} copies, {copies} are wanted: kafka-reassign-partitions.sh of Kafka adds them"
        )
    if wrong and change:
        await _alter(admin, name, {**found.overrides, **spec.config})
    elif wrong:
        problems += [f"{key} is {found.config.get(key)}, wanted {value}" for key, value in sorted(wrong.items())]
    if problems:
        return TopicState(name, "differs", "; ".join(problems))
    return TopicState(name, "altered", ", ".join(sorted(wrong))) if wrong else TopicState(name, "ok")


async def _create(admin: AIOKafkaAdminClient, name: str, spec: TopicSpec, copies: int) -> TopicState:
    # With three copies an acknowledged record is on two at least, and one broker may be away.
    config = {**spec.config, "min.insync.replicas": str(max(1, copies - 1))}
    topic = NewTopic(name, spec.partitions, copies, topic_configs=config)
    [(_, code, message)] = (await admin.create_topics([topic])).topic_errors
    if code == TopicAlreadyExistsError.errno:
        return TopicState(name, "ok", "made by another process just now")
    if code:
        raise for_code(code)(f"{name} can't be made: {message}")
    return TopicState(name, "created", f"{spec.partitions} partitions, {copies} copies")


async def _alter(admin: AIOKafkaAdminClient, name: str, config: Mapping[str, str]) -> None:
    # The request replaces everything that is set on the topic, so `config` holds what was set besides.
    [response] = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, dict(config))])
    for code, message, *_ in response.resources:
        if code:
            raise for_code(code)(f"{name} can't be altered: {message}")


async def _describe(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, _Found]:
    wanted = set(names)
    # All are asked for: a request by name would make a missing topic where brokers create topics by themselves.
    topics = {each["topic"]: each["partitions"] for each in await admin.describe_topics() if each["topic"] in wanted}
    if not topics:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    found = {}
    for response in await admin.describe_configs(asked):
        for code, message, _, name, entries in response.resources:
            if code:
                raise for_code(code)(f"{name} can't be described: {message}")
            partitions = topics[name]
            found[name] = _Found(
                partitions=len(partitions),
                replicas=min((len(each["replicas"]) for each in partitions), default=0),
                config={entry[0]: entry[1] for entry in entries},
                overrides={entry[0]: entry[1] for entry in entries if entry[3] == _OVERRIDE},
            )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Make or compare the topics; 0 when all are as they should be, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="voz-topics",
        description=__doc__,
        epilog=f"Environment:\n{describe(ServiceSettings)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["apply", "check"], help="make and alter what is needed, or only compare")
    parser.add_argument("--queue", action="append", default=[], help="also the topic of this queue; can be repeated")
    parser.add_argument("--partitions", type=_positive, help="other than the topics' own number")
    parser.add_argument("--replication-factor", type=_positive, help="other than VOZ_KAFKA_REPLICATION_FACTOR")
    chosen = parser.parse_args(arguments)
    settings = read_settings(ServiceSettings)
    if chosen.replication_factor:
        settings = settings.model_copy(update={"kafka_replication_factor": chosen.replication_factor})
    specs = [each for each in TOPICS if _FAMILY not in each.name] + [queue_topic(each) for each in chosen.queue]
    if chosen.partitions:
        specs = [replace(each, partitions=chosen.partitions) for each in specs]
    run = apply_topics if chosen.command == "apply" else check_topics
    try:
        states = asyncio.run(run(settings, specs))
    except (KafkaError, TransientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    for state in states:
        print(f"{state.status:<8} {state.name}{f': {state.detail}' if state.detail else ''}")
    return EXIT_FAILED if any(state.status in ("missing", "differs") for state in states) else 0


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    raise SystemExit(main())

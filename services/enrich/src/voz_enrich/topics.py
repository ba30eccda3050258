"""`voz-enrich topics try`: what a file of a company's own topics would do with recent messages."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError
from google.protobuf.message import DecodeError

from voz.v1.enriched_event_pb2 import EnrichedEvent
from voz.v1.labels_pb2 import DIRECTION_INBOUND
from voz_contracts import topics as kafka_topics
from voz_enrich.adapters.inbound.topics_yaml import MAX_EXAMPLES, MAX_TOPICS, read_topics
from voz_enrich.adapters.outbound.bundle import BundleError
from voz_enrich.adapters.outbound.hf_model import HfModelError, parse_label_map
from voz_enrich.adapters.outbound.kafka_log import KafkaPartitions, partition_counts
from voz_enrich.adapters.outbound.models import open_model
from voz_enrich.adapters.outbound.topic_space import Fitted, Overlap, TopicSpace, TopicSpaces
from voz_enrich.analyze import parse
from voz_enrich.config import EnrichSettings
from voz_enrich.domain.own_topics import MIN_EXAMPLES, OwnTopics
from voz_enrich.ports import SignalModel
from voz_enrich.terminal import printable
from voz_streamkit.reload import FileError
from voz_streamkit.run import read_settings

FINE, WARNED, UNUSABLE = 0, 1, 2
_RECORDS_A_PARTITION = 1_000
_SAMPLES = 3
_SHOWN_CHARACTERS = 90
_ANALYSED_AT_ONCE = 512


class InputError(Exception):
    """The messages to try can't be read. Says why and what to do."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One topic on the messages. found: the messages that it would get, the nearest first, each with how near."""

    fitted: Fitted
    found: Sequence[tuple[str, float]]

    @property
    def samples(self) -> list[tuple[str, float]]:
        """The nearest, the one in the middle and the one that just passes: the last says most of the threshold."""
        last = len(self.found) - 1
        return [self.found[place] for place in sorted({0, last // 2, last})[:_SAMPLES]] if self.found else []


@dataclass(frozen=True, slots=True)
class Trial:
    """The topics of one tenant on its messages."""

    tenant: str
    messages: int
    topics: Sequence[Tried]
    overlaps: Sequence[Overlap]

    @property
    def warned(self) -> bool:
        """Whether somebody should look at the file again."""
        return bool(self.overlaps) or any(each.fitted.loose for each in self.topics)


Messages = Mapping[str, Sequence[str]]
"""Texts by tenant."""


def main(argv: Sequence[str]) -> int:
    """Runs the command. 0: fine, 1: something to look at, 2: the file, the model or the messages can't be used."""
    options = _arguments().parse_args(argv)
    settings = read_settings(EnrichSettings)
    try:
        own = chosen(read_topics(options.file), options.tenant)
        messages, bad = (
            from_file(options.texts, own) if options.texts else (asyncio.run(from_kafka(settings, own, options)), 0)
        )
        model = open_model(
            settings.model,
            threads=settings.threads,
            models_dir=settings.models_dir,
            label_map=parse_label_map(settings.label_map),
        )
        trials = [
            attempt(tenant, space, messages[tenant], model) for tenant, space in TopicSpaces(own, model).of.items()
        ]
    except (FileError, InputError, BundleError, HfModelError, ValueError) as error:
        print(f"voz-enrich topics: {error}", file=sys.stderr)
        return UNUSABLE
    where = str(options.texts) if options.texts else settings.topic(kafka_topics.ENRICHED)
    print(json.dumps([as_json(each) for each in trials], indent=2) if options.json else table(trials, where))
    return WARNED if bad or any(each.warned for each in trials) else FINE


def chosen(own: OwnTopics, tenant: str | None) -> OwnTopics:
    """The topics of one tenant, or of all. Raises InputError for a tenant that has none."""
    if tenant is None:
        return own
    if tenant not in own:
        raise InputError(f"no tenant {tenant} in the file; it has {', '.join(own)}")
    return {tenant: own[tenant]}


def from_file(path: Path, own: OwnTopics) -> tuple[Messages, int]:
    """The texts of JSON lines, for each tenant, and how many lines were bad: these are named on standard
    error. Raises InputError."""
    texts, bad = [], 0
    try:
        with path.open("rb") as lines:
            for number, raw in enumerate(lines, start=1):
                try:
                    if raw.strip():
                        texts.append(parse(raw).text)
                except ValueError as error:
                    bad += 1
                    print(f"{path}:{number}: {error}", file=sys.stderr)
    except OSError as error:
        raise InputError(str(error)) from error
    return dict.fromkeys(own, texts), bad


async def from_kafka(settings: EnrichSettings, own: OwnTopics, options: argparse.Namespace) -> Messages:
    """The newest messages of these tenants' customers in `voz.enriched`, bounded. Raises InputError."""
    topic = settings.topic(kafka_topics.ENRICHED)
    texts: dict[str, list[str]] = {tenant: [] for tenant in own}
    client = KafkaPartitions(settings.kafka_bootstrap, "voz-enrich-topics")
    try:
        # Its own lines beside ours would say the same twice.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        partitions = (await partition_counts(settings.kafka_bootstrap, [topic], patience_seconds=0))[topic]
        await client.start()
        oldest = datetime.now(UTC) - options.since
        starts = await client.since(topic, range(partitions), int(oldest.timestamp() * 1000)) if partitions else {}
        for partition, start in starts.items():
            first, end = await client.bounds(topic, partition)
            async for records in client.read(topic, partition, max(first, start, end - options.records), end, 500):
                for record in records:
                    for tenant, text in _said(record.value):
                        if tenant in texts:
                            texts[tenant].append(text)
    except KafkaError as error:
        raise InputError(f"{topic} can't be read: {error}. Name a file of messages: --texts FILE") from error
    finally:
        await client.stop()
    return texts


def attempt(tenant: str, space: TopicSpace, texts: Sequence[str], model: SignalModel) -> Trial:
    """What the topics would make of these texts."""
    found: dict[str, list[tuple[str, float]]] = {each.topic.id: [] for each in space.fitted}
    for start in range(0, len(texts), _ANALYSED_AT_ONCE):
        part = texts[start : start + _ANALYSED_AT_ONCE]
        for text, signals in zip(part, model.analyse(part), strict=True):
            if matched := space.match(signals.vector):
                found[matched.id].append((text, matched.score))
    return Trial(
        tenant,
        len(texts),
        [Tried(each, sorted(found[each.topic.id], key=lambda one: -one[1])) for each in space.fitted],
        space.overlaps,
    )


def table(trials: Sequence[Trial], where: str) -> str:
    """The trials for people."""
    return "\n\n".join("\n".join(_lines(trial, where)) for trial in trials)


def as_json(trial: Trial) -> dict[str, Any]:
    """One trial for programs."""
    return {
        "tenant": trial.tenant,
        "messages": trial.messages,
        "topics": [
            {
                "id": each.fitted.topic.id,
                "name": each.fitted.topic.name,
                "threshold": each.fitted.threshold,
                "messages": len(each.found),
                "samples": [{"text": text, "score": score} for text, score in each.samples],
                "outside": [{"example": example, "score": score} for example, score in each.fitted.outside],
            }
            for each in trial.topics
        ],
        "overlaps": [
            {
                "topics": [each.first, each.second],
                "examples": [{"topic": topic, "example": example} for topic, example in each.examples],
            }
            for each in trial.overlaps
        ],
        "warned": trial.warned,
    }


def _lines(trial: Trial, where: str) -> Iterator[str]:
    got = sum(len(each.found) for each in trial.topics)
    if trial.messages:
        yield f"{trial.tenant}: {trial.messages:,} messages of {where}, {got:,} with a topic of its own"
    else:
        yield f"{trial.tenant}: no messages in {where} (--texts FILE, --since SPAN); of the examples alone:"
    yield f"\n{'topic':<28}{'messages':>10}{'share':>8}{'threshold':>11}"
    for each in trial.topics:
        share = f"{len(each.found) / trial.messages:.1%}" if trial.messages else "–"
        yield f"{each.fitted.topic.id:<28}{len(each.found):>10,}{share:>8}{each.fitted.threshold:>11.3f}"
        for text, score in each.samples:
            yield f"    {score:.3f}  {_short(text)}"
    for overlap in trial.overlaps:
        yield f"\nwarning: {overlap.first} and {overlap.second} can't be told apart; nearer to the other:"
        for topic, example in overlap.examples:
            yield f"    {topic}: {_short(example)}"
    for each in trial.topics:
        fitted = each.fitted
        if fitted.outside:
            count = f"{len(fitted.outside)} of {len(fitted.topic.examples)} examples"
            loose = "does not hold together: " if fitted.loose else ""
            yield f"\n{'warning' if fitted.loose else 'note'}: {fitted.topic.id} {loose}{count} would not be given it:"
            for example, score in fitted.outside:
                yield f"    {score:.3f}  {_short(example)}"


def _said(value: bytes) -> Iterator[tuple[str, str]]:
    """Tenant and text of an answer, where a model read what somebody wrote to the company."""
    try:
        enriched = EnrichedEvent.FromString(value)
    except DecodeError:
        return
    event = enriched.event
    text = event.text or event.survey.comment
    if enriched.signals.model and event.direction == DIRECTION_INBOUND and text:
        yield event.tenant, text


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[: _SHOWN_CHARACTERS - 1]}…"


def _span(written: str) -> timedelta:
    if not (parts := re.fullmatch(r"([1-9]\d{0,3})([mhd])", written)):
        raise argparse.ArgumentTypeError(f"{written!r} is no time such as 30m, 24h or 7d")
    return int(parts[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[parts[2]]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voz-enrich topics", description="A company's own topics, by name, description and a few examples."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    tried = commands.add_parser(
        "try",
        help="what recent messages would get, and which topics can't be told apart",
        description="Reads a file of topics as the worker would (VOZ_ENRICH_TOPICS), and shows for each topic its "
        "threshold, how many of the recent messages it would get and three of them: the nearest, one in the middle, "
        "the one that just passes. Nothing is changed.",
        epilog=f"A file reads `tenants: [{{id, topics: [{{id, name, description, examples}}]}}]`; {MIN_EXAMPLES} to "
        f"{MAX_EXAMPLES} examples a topic, at most {MAX_TOPICS} topics a tenant. The model and Kafka are those of the "
        "settings (voz-enrich worker --help). Exit status 0: fine; 1: topics overlap, a topic does not hold together, "
        "or a line of --texts is bad; 2: the file, the model or the messages can't be used.",
    )
    tried.add_argument("file", type=Path, metavar="FILE", help="the topics, YAML")
    tried.add_argument("--tenant", metavar="ID", help="only this tenant's topics; by default all in the file")
    tried.add_argument(
        "--texts",
        type=Path,
        metavar="JSONL",
        help='messages from JSON lines {"id", "text"} rather than from voz.enriched',
    )
    tried.add_argument(
        "--since", type=_span, default="7d", metavar="SPAN", help="messages of the last 30m, 24h, 7d … (%(default)s)"
    )
    tried.add_argument(
        "--records",
        type=int,
        choices=range(1, 100_001),
        default=_RECORDS_A_PARTITION,
        metavar="N",
        help="newest records read of each partition at most (%(default)s)",
    )
    tried.add_argument("--json", action="store_true", help="the same as JSON: a list with one object a tenant")
    return parser

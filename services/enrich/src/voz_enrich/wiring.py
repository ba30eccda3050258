"""Puts the worker together, runs it and takes it apart."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import structlog

from voz_contracts import topics
from voz_enrich.adapters.inbound.decoding import decode
from voz_enrich.adapters.inbound.faust_app import FaustSettings, build_app
from voz_enrich.adapters.inbound.guard import GuardLimits, SequenceGuard
from voz_enrich.adapters.inbound.live_topics import LiveTopics
from voz_enrich.adapters.outbound.encoding import EnrichedEncoder
from voz_enrich.adapters.outbound.kafka_journal import JournalTopics, KafkaJournal
from voz_enrich.adapters.outbound.kafka_log import KafkaPartitions, KafkaSource, partition_counts
from voz_enrich.adapters.outbound.shadow import ShadowModel
from voz_enrich.config import EnrichSettings
from voz_enrich.cores import available_cores
from voz_enrich.domain.journey import DAY_MS
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.ports import Answer, Prepared, SignalModel
from voz_enrich.use_cases import EnrichEvents
from voz_streamkit.dead_letters import DeadLetterLimit, DeadLetters
from voz_streamkit.health import Health
from voz_streamkit.http.app import operations_app
from voz_streamkit.http.server import serve
from voz_streamkit.kafka import create_producer, start
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record

_log = structlog.get_logger(__name__)
GROUP = "voz-enrich"
# A record batch that holds a whole micro-batch's answers is written whole or not at all; brokers take 1 MiB.
_RECORD_BATCH_BYTES = 900_000


class TopicsError(Exception):
    """The topics aren't there, or don't have as many partitions as each other."""


async def run_worker(
    settings: EnrichSettings,
    model: SignalModel,
    stop: asyncio.Event,
    open_shadow: Callable[[], SignalModel] | None = None,
) -> None:
    """Enrich events until `stop`. Any error ends the process at once, with nothing acknowledged.

    open_shadow: opens a model to compare with `model`. Raises FileError, TopicsError or TransientError when it can't
    begin.
    """
    shared = Metrics("enrich")
    metrics, health = EnrichMetrics(shared), Health()
    metrics.model_threads.set(settings.threads)
    metrics.cores.set(available_cores())
    own_topics = LiveTopics(settings.topics, model, shared) if settings.topics else None
    async with AsyncExitStack() as stack:
        producer = create_producer(settings, max_batch_size=_RECORD_BATCH_BYTES)
        await start(producer, stop)
        stack.push_async_callback(producer.stop)
        reader, lookups = (
            KafkaPartitions(settings.kafka_bootstrap, f"voz-enrich-{name}") for name in ("reader", "lookups")
        )
        for client in (reader, lookups):
            await start(client, stop)
            stack.push_async_callback(client.stop)
        names, partitions = await _topics(settings)

        limit = DeadLetterLimit(max_ratio=settings.dead_letter_ratio)
        journal = KafkaJournal(
            producer,
            reader,
            lookups,
            DeadLetters(producer, names.dead_letter, "enrich", limit, shared),
            names,
            metrics.write_seconds.observe,
        )
        shadow: ShadowModel | None = None
        if open_shadow is not None:
            shadow = ShadowModel(open_shadow, model.version, settings.shadow_share, metrics)
            shadow.start()
            stack.push_async_callback(asyncio.to_thread, shadow.close)
        enrich = EnrichEvents(
            decode,
            model,
            EnrichedEncoder(names.source, model.version),
            metrics,
            max_output_bytes=_RECORD_BATCH_BYTES,
            at_risk_after_ms=settings.at_risk_days * DAY_MS,
            shadow=shadow,
            own_topics=own_topics,
        )
        answering = Threaded(enrich, stack.enter_context(ThreadPoolExecutor(settings.batches_ahead, "prepare")))

        guard = SequenceGuard(
            KafkaSource(reader, lookups, names.source, settings.batch_events),
            journal,
            answering,
            metrics,
            GuardLimits(
                # Less one group heartbeat: the broker counts from the last one it got.
                stale_after_seconds=settings.session_seconds - min(2.0, settings.session_seconds / 4),
                idle_seconds=settings.idle_seconds,
                depth=settings.batches_ahead,
            ),
            Reported(health, shared, names.source),
        )
        health.add_readiness("kafka", lambda: _answers(lookups, names.source))
        app = build_app(
            FaustSettings(
                app_id=settings.topic(GROUP),
                brokers=settings.kafka_bootstrap,
                source_topic=names.source,
                journey_topic=names.journey,
                partitions=partitions,
                session_seconds=settings.session_seconds,
                instance_id=settings.instance_id or None,
                data_folder=stack.enter_context(tempfile.TemporaryDirectory(prefix="voz-enrich-")),
                batch_events=settings.batch_events,
                batch_wait_seconds=settings.batch_wait_seconds,
                depth=settings.batches_ahead,
            ),
            guard,
            answering.prepare,
            lookups.ends,
            journal.customers,
            end_process,
        )
        operations = operations_app(health, shared)
        serving = _watched(serve(operations, host=settings.host, port=settings.port, stop=stop, health=health))
        following = [own_topics.follow()] if own_topics is not None else []
        for work in (app.start(), app.wait_until_stopped(), guard.report(), guard.watch(), guard.beat(), *following):
            stack.push_async_callback(_cancelled, _watched(work))
        await stop.wait()
        _log.info("stopping")
        await app.stop()
        await serving


class Threaded:
    """Runs the blocking part of enrichment in threads. Implements the port `Answering`."""

    def __init__(self, enrich: EnrichEvents, threads: ThreadPoolExecutor) -> None:
        self._enrich, self._threads = enrich, threads

    async def prepare(self, records: Sequence[Record]) -> list[Prepared]:
        """Each record read and analysed, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._enrich.prepare, records)

    def answer(self, prepared: Prepared, state: bytes | None) -> Answer:
        """The answer to one event, given its customer's state before it."""
        return self._enrich.answer(prepared, state)


class Reported:
    """Progress for health and metrics. Implements the port `Progress`."""

    def __init__(self, health: Health, metrics: Metrics, topic: str) -> None:
        self._health, self._metrics, self._topic = health, metrics, topic
        self._held: set[int] = set()

    def holds(self, partitions: Collection[int]) -> None:
        """Another worker's partition is no concern of ours any more: not its lag, nor that it stands still."""
        for gone in self._held - set(partitions):
            self._metrics.lag_records.remove(GROUP, self._topic, str(gone))
        self._held &= set(partitions)
        self._health.progress.forget({self._name(partition) for partition in partitions})

    def moved(self, partition: int, position: int, end: int) -> None:
        """Everything below `position` is answered; the log ends at `end`."""
        self._held.add(partition)
        self._health.progress.observe(time.monotonic(), self._name(partition), position, end)
        self._metrics.lag_records.labels(GROUP, self._topic, str(partition)).set(max(0, end - position))

    def _name(self, partition: int) -> str:
        return f"{self._topic}/{partition}"


def end_process(error: BaseException) -> None:
    """End at once, without the stop that would let Faust acknowledge what it holds. The platform starts it again."""
    _log.critical("ended by an error, nothing of it is acknowledged", exc_info=error)
    sys.stdout.flush()
    os._exit(1)


async def _topics(settings: EnrichSettings) -> tuple[JournalTopics, int]:
    source, enriched, journey, dead_letter = (
        settings.topic(spec) for spec in (topics.EVENTS, topics.ENRICHED, topics.JOURNEY, topics.DEAD_LETTER)
    )
    counts = await partition_counts(settings.kafka_bootstrap, (source, enriched, journey, dead_letter))
    if missing := sorted(name for name, count in counts.items() if not count):
        raise TopicsError(f"these topics are missing: {', '.join(missing)}; make them with `voz-topics apply`")
    if len({counts[source], counts[enriched], counts[journey]}) > 1:
        raise TopicsError(
            f"{source}, {enriched} and {journey} must have as many partitions as each other, not "
            f"{counts[source]}, {counts[enriched]} and {counts[journey]}"
        )
    return JournalTopics(source, enriched, journey, dead_letter, counts[dead_letter]), counts[source]


async def _answers(lookups: KafkaPartitions, topic: str) -> None:
    await lookups.ends(topic, [0])


def _watched(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task whose error ends the process."""
    task = asyncio.create_task(work)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        end_process(error)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})

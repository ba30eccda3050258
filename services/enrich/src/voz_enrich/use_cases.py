"""Enriching events: what each record needs by itself, and what it needs of the customer's journey before it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from voz_enrich.domain.event_signals import signals_of, suggested_stage
from voz_enrich.domain.journey import AT_RISK_DAYS, DAY_MS, advance, step
from voz_enrich.domain.journey_state import decode, encode
from voz_enrich.domain.signals import TextSignals
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.ports import Analysed, Answer, Decoder, Encoder, Heard, OwnTopicMatcher, Prepared, Shadow, SignalModel
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record

_PLAIN_TEXT = "ok"


class ModelError(Exception):
    """The model fails on any text."""


class EnrichEvents:
    """Implements the two steps of enrichment. Thread-safe: `prepare` runs in worker threads, several at a time."""

    def __init__(
        self,
        decode_record: Decoder,
        model: SignalModel,
        encode_answer: Encoder,
        metrics: EnrichMetrics,
        max_output_bytes: int,
        at_risk_after_ms: int = AT_RISK_DAYS * DAY_MS,
        shadow: Shadow | None = None,
        own_topics: OwnTopicMatcher | None = None,
    ) -> None:
        self._decode, self._model, self._encode = decode_record, model, encode_answer
        self._metrics, self._max_output_bytes, self._shadow = metrics, max_output_bytes, shadow
        self._at_risk_after_ms, self._own_topics = at_risk_after_ms, own_topics

    def prepare(self, records: Sequence[Record]) -> list[Prepared]:
        """Read and analyse records: CPU time, no order, no state. A bad record, or one on whose text the model fails,
        is refused; the others go on. Raises ModelError."""
        heard = [self._hear(record) for record in records]
        # What the company says tells nothing of the customer's experience; it isn't analysed.
        asked = [h for h in heard if isinstance(h, Heard) and h.text and h.facts.inbound]
        said = {id(h): each for h, each in zip(asked, self._analyse(asked) if asked else [], strict=True)}
        return [_prepared(record, h, said.get(id(h))) for record, h in zip(records, heard, strict=True)]

    def answer(self, prepared: Prepared, state: bytes | None) -> Answer:
        """The answer to one event, given its customer's encoded state before it. The state it returns is None when
        there is nothing new to keep."""
        heard, record = prepared.heard, prepared.record
        if heard is None:
            return Answer(record, None, None, prepared.refused)
        signals = signals_of(heard.facts, prepared.text)
        before = decode(state) if state is not None else None
        after = advance(before, heard.facts, suggested_stage(signals), record.offset)
        moved = step(before, after, heard.facts, self._at_risk_after_ms) if after else None
        output = self._encode(prepared, heard, signals, moved)
        if len(output.value) > self._max_output_bytes:
            detail = (
                f"its answer has {len(output.value)} bytes, more than the {self._max_output_bytes} that fit a record"
            )
            return Answer(record, None, None, InvalidRecordError("too_large", detail))
        if moved and moved.transition:
            self._metrics.note_transition(moved.transition)
        return Answer(record, output, encode(after) if after is not None and after is not before else None)

    def _analyse(self, asked: Sequence[Heard]) -> list[TextSignals | InvalidRecordError]:
        """What the model says of each text. When it fails on several, each is asked alone."""
        try:
            return [*self._signals(asked)]
        except Exception as error:
            if len(asked) > 1:
                return [said for each in asked for said in self._analyse([each])]
            self._check_model()
            # Its class alone, here and below: a message may quote what a customer wrote.
            return [InvalidRecordError("unanswerable", f"the model fails on its text: {type(error).__name__}")]

    def _signals(self, asked: Sequence[Heard]) -> list[TextSignals]:
        hints = [heard.message.language_hint or None for heard in asked]
        began = time.perf_counter()
        answers = self._model.analyse([heard.text for heard in asked], hints)
        seconds = time.perf_counter() - began
        self._metrics.model_seconds.observe(seconds)
        for signals in answers:
            self._metrics.note_text(self._model.version, signals)
        if self._shadow is not None:
            self._shadow.offer(
                [
                    Analysed(heard.message.id, heard.text, hint, signals, seconds / len(asked))
                    for heard, hint, signals in zip(asked, hints, answers, strict=True)
                ]
            )
        return [
            self._with_own_topic(heard.message.tenant, signals) for heard, signals in zip(asked, answers, strict=True)
        ]

    def _with_own_topic(self, tenant: str, signals: TextSignals) -> TextSignals:
        matched = self._own_topics.match(tenant, signals.vector) if self._own_topics is not None else None
        if matched is None:
            return signals
        self._metrics.own_topics.labels(tenant, matched.id).inc()
        return replace(signals, own_topic=matched)

    def _check_model(self) -> None:
        """A text is to blame only while the model answers another one. Raises ModelError, with the frames of the error
        that caused it and without its message."""
        try:
            self._model.analyse([_PLAIN_TEXT])
        except Exception as error:
            failed = ModelError(f"the model fails on any text: {type(error).__name__}")
            raise failed.with_traceback(error.__traceback__) from None

    def _hear(self, record: Record) -> Heard | InvalidRecordError:
        try:
            return self._decode(record)
        except InvalidRecordError as error:
            return error


def _prepared(
    record: Record, heard: Heard | InvalidRecordError, said: TextSignals | InvalidRecordError | None
) -> Prepared:
    if isinstance(heard, InvalidRecordError):
        return Prepared(record, None, None, refused=heard)
    if isinstance(said, InvalidRecordError):
        return Prepared(record, None, None, refused=said)
    return Prepared(record, heard, said)

"""Enriching events: what each record needs by itself, and what it needs of the customer's journey before it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from voz_enrich.domain.event_signals import Signals, signals_of, suggested_stage
from voz_enrich.domain.journey import advance, decode, encode
from voz_enrich.domain.signals import TextSignals
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.ports import Answer, Decoder, Encoder, Heard, Prepared, SignalModel
from voz_streamkit.errors import InvalidRecordError
from voz_streamkit.records import Record


class EnrichEvents:
    """Implements the two steps of enrichment. Thread-safe: `prepare` runs in worker threads, several at a time."""

    def __init__(
        self,
        decode_record: Decoder,
        model: SignalModel,
        encode_answer: Encoder,
        metrics: EnrichMetrics,
        max_output_bytes: int,
    ) -> None:
        self._decode, self._model, self._encode = decode_record, model, encode_answer
        self._metrics, self._max_output_bytes = metrics, max_output_bytes

    def prepare(self, records: Sequence[Record]) -> list[Prepared]:
        """Read and analyse records: CPU time, no order, no state. A bad record is refused, the others go on."""
        heard = [self._hear(record) for record in records]
        # What the company says tells nothing of the customer's experience; it isn't analysed.
        asked = [h for h in heard if isinstance(h, Heard) and h.text and h.facts.inbound]
        texts: dict[int, TextSignals] = {}
        if asked:
            began = time.perf_counter()
            answers = self._model.analyse([h.text for h in asked], [h.message.language_hint or None for h in asked])
            self._metrics.model_seconds.observe(time.perf_counter() - began)
            texts = {id(h): answer for h, answer in zip(asked, answers, strict=True)}
        return [
            Prepared(record, h, texts.get(id(h))) if isinstance(h, Heard) else Prepared(record, None, None, refused=h)
            for record, h in zip(records, heard, strict=True)
        ]

    def answer(self, prepared: Prepared, state: bytes | None) -> Answer:
        """The answer to one event, given its customer's encoded state before it. The state it returns is None when
        there is nothing new to keep."""
        heard, record = prepared.heard, prepared.record
        if heard is None:
            return Answer(record, None, None, prepared.refused)
        signals = signals_of(heard.facts, prepared.text)
        before = decode(state) if state is not None else None
        after = advance(before, heard.facts, suggested_stage(signals), record.offset)
        output = self._encode(prepared, heard, signals, before.stage if before else None, after)
        if len(output.value) > self._max_output_bytes:
            detail = (
                f"its answer has {len(output.value)} bytes, more than the {self._max_output_bytes} that fit a record"
            )
            return Answer(record, None, None, InvalidRecordError("too_large", detail))
        self._count(signals)
        return Answer(record, output, encode(after) if after is not None and after is not before else None)

    def _hear(self, record: Record) -> Heard | InvalidRecordError:
        try:
            return self._decode(record)
        except InvalidRecordError as error:
            return error

    def _count(self, signals: Signals) -> None:
        labels = self._metrics.labels.labels
        for head, label in (
            ("sentiment", signals.sentiment),
            ("emotion", signals.emotion),
            ("topic", signals.topic),
            ("effort", signals.effort),
            ("stage", signals.stage),
        ):
            if label is not None:
                labels(head, label.value).inc()
        for intent in signals.intents:
            labels("intents", intent.value).inc()

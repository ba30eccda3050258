"""What is counted of a model's answers, what the shadow gets of them, and what becomes of texts that it fails on."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from voz.v1 import customer_event_pb2 as contract
from voz_enrich.adapters.inbound.decoding import decode
from voz_enrich.adapters.outbound.encoding import EnrichedEncoder
from voz_enrich.domain.labels import Intent
from voz_enrich.domain.signals import HOME_LANGUAGES, TextSignals
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.ports import Analysed, Shadow, SignalModel
from voz_enrich.use_cases import EnrichEvents, ModelError
from voz_streamkit.metrics import Metrics
from voz_streamkit.records import Record

from ...chaos.lexicon_model import HashModel, hashed
from .test_use_cases import event, record

pytestmark = pytest.mark.unit
SECRET = "Marta Quintanilla"


class Failing(HashModel):
    """Raises, with the texts in its message, when one of these words is among them; for no words, always."""

    def __init__(self, words: Collection[str] = ()) -> None:
        super().__init__()
        self.words = words
        self.calls = 0

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        self.calls += 1
        if not self.words or any(word in text for word in self.words for text in texts):
            raise ValueError(f"can't read {texts}")
        return super().analyse(texts, languages)


class Noted:
    """A shadow that notes what it is offered."""

    def __init__(self) -> None:
        self.offered: list[Analysed] = []

    def offer(self, answered: Sequence[Analysed]) -> None:
        self.offered += answered


def make(model: SignalModel, shadow: Shadow | None = None) -> tuple[EnrichEvents, CollectorRegistry]:
    shared = Metrics("enrich", CollectorRegistry())
    encoder = EnrichedEncoder("voz.events", model.version)
    return EnrichEvents(decode, model, encoder, EnrichMetrics(shared), 900_000, shadow=shadow), shared.registry


def records(*texts: str, hint: str = "") -> list[Record]:
    made = [event(text) for text in texts]
    for number, each in enumerate(made):
        each.id, each.language_hint = f"e-{number}", hint
    return [record(each, number) for number, each in enumerate(made)]


def test_labels_and_confidence_are_counted_by_the_model_s_version() -> None:
    signals = replace(
        hashed("a"),
        intents=(Intent.REQUEST, Intent.COMPLAINT),
        scores={
            "sentiment": {hashed("a").sentiment: 0.85},
            "intents": {Intent.REQUEST: 0.97, Intent.COMPLAINT: 0.6},
        },
    )
    metrics = EnrichMetrics(Metrics("enrich", registry := CollectorRegistry()))
    metrics.note_text("m-2", signals)
    for head, label in (("sentiment", hashed("a").sentiment), ("intents", "request"), ("intents", "complaint")):
        labels = {"head": head, "label": label, "model": "m-2"}
        assert registry.get_sample_value("voz_enrich_labels_total", labels) == 1
    for head, confidence, bucket, next_one in (("sentiment", 0.85, "0.9", "0.8"), ("intents", 0.97, "0.99", "0.95")):
        of = {"head": head, "model": "m-2"}
        assert registry.get_sample_value("voz_enrich_confidence_sum", of) == confidence
        assert registry.get_sample_value("voz_enrich_confidence_bucket", {**of, "le": bucket}) == 1
        assert registry.get_sample_value("voz_enrich_confidence_bucket", {**of, "le": next_one}) == 0


def test_languages_are_few_whatever_is_spoken() -> None:
    metrics = EnrichMetrics(Metrics("enrich", registry := CollectorRegistry()))
    for language in (*HOME_LANGUAGES, "und", "zh", "ja", "xx"):
        metrics.note_text("m-2", replace(hashed("a"), language=language))
    counted = {
        sample.labels["language"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "voz_enrich_languages_total"
    }
    assert counted == {**dict.fromkeys((*HOME_LANGUAGES, "und"), 1.0), "other": 3.0}


def test_what_payloads_say_is_not_the_model_s() -> None:
    enrich, registry = make(HashModel())
    made = event("")
    made.transaction.type = contract.TRANSACTION_TYPE_REFUND
    (prepared,) = enrich.prepare([record(made)])
    assert enrich.answer(prepared, None).output is not None
    assert not [
        sample for family in registry.collect() for sample in family.samples if sample.name == "voz_enrich_labels_total"
    ]


def test_the_shadow_is_offered_every_answered_text_with_its_event_and_answer() -> None:
    shadow = Noted()
    enrich, _ = make(HashModel(), shadow)
    enrich.prepare(records("one", "two", "  ", hint="es"))
    assert [(each.event_id, each.text, each.language_hint, each.signals) for each in shadow.offered] == [
        ("e-0", "one", "es", hashed("one", "es")),
        ("e-1", "two", "es", hashed("two", "es")),
    ]
    assert {each.seconds for each in shadow.offered} == {shadow.offered[0].seconds} != {0}


def test_a_text_that_the_model_fails_on_is_put_aside_and_its_neighbours_are_answered() -> None:
    shadow = Noted()
    enrich, _ = make(Failing([SECRET]), shadow)
    prepared = enrich.prepare(records("one", f"I am {SECRET}", "two"))
    answers = [enrich.answer(each, None) for each in prepared]
    assert [answer.output is not None for answer in answers] == [True, False, True]
    refused = answers[1].refused
    assert refused is not None
    assert refused.reason == "unanswerable"
    assert refused.detail == "the model fails on its text: ValueError"
    assert [each.text for each in shadow.offered] == ["one", "two"]


@pytest.mark.parametrize("texts", [(SECRET,), (SECRET, "two", "three")])
def test_a_model_that_fails_on_any_text_stops_the_worker_and_blames_no_event(texts: Sequence[str]) -> None:
    model = Failing()
    enrich, _ = make(model)
    with pytest.raises(ModelError, match="fails on any text: ValueError") as stopped:
        enrich.prepare(records(*texts))
    told = "".join(traceback.format_exception(stopped.value))
    assert SECRET not in told
    assert "in analyse" in told  # where it failed is still said
    assert model.calls <= 3

"""A company's own topics: the file, the space they lie in, and the answers they end in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from voz.v1 import labels_pb2 as labels
from voz.v1.enriched_event_pb2 import Signals
from voz_enrich.adapters.inbound.decoding import decode
from voz_enrich.adapters.inbound.live_topics import LiveTopics
from voz_enrich.adapters.inbound.topics_yaml import parse_topics
from voz_enrich.adapters.outbound.encoding import EnrichedEncoder
from voz_enrich.adapters.outbound.topic_space import TopicSpaces
from voz_enrich.analyze import main as analyze
from voz_enrich.domain.general_messages import GENERAL_MESSAGES
from voz_enrich.domain.own_topics import OwnTopic
from voz_enrich.domain.signals import TextSignals
from voz_enrich.metrics import EnrichMetrics
from voz_enrich.topics import as_json, attempt, main, table
from voz_enrich.use_cases import EnrichEvents
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import FileError

from ...chaos.lexicon_model import HashModel
from .test_use_cases import enriched, event, record
from .word_model import WordModel

pytestmark = pytest.mark.unit
MODEL = WordModel()
BAGS = OwnTopic(
    "bags",
    "Bags",
    "lost bag or suitcase",
    ("my bag is lost", "the suitcase is lost", "where is my lost suitcase", "lost bag again", "a bag was lost"),
)
SEATS = OwnTopic(
    "seats",
    "Seats",
    "window or aisle seat",
    ("a window seat please", "aisle seat please", "change my window seat", "seat by the window", "an aisle seat"),
)
FILE = """
tenants:
  - id: demo
    topics:
      - id: bags
        name: Bags
        description: lost bag or suitcase
        examples: [my bag is lost, the suitcase is lost, where is my lost suitcase, lost bag again, a bag was lost]
"""


def spaces(*topics: OwnTopic) -> TopicSpaces:
    return TopicSpaces({"demo": topics}, MODEL)


def given(found: TopicSpaces, text: str, tenant: str = "demo") -> str | None:
    matched = found.match(tenant, MODEL.analyse([text])[0].vector)
    return matched.id if matched else None


def test_a_text_gets_the_topic_that_it_is_like_and_none_when_it_is_like_none() -> None:
    found = spaces(BAGS, SEATS)
    assert given(found, "they lost my bag") == "bags"
    assert given(found, "please a seat by a window") == "seats"
    for text in ("the invoice shows two charges", "", *GENERAL_MESSAGES):
        assert given(found, text) is None


def test_a_tenant_has_its_own_topics_alone() -> None:
    found = TopicSpaces({"demo": (BAGS,), "other": (SEATS,)}, MODEL)
    assert given(found, "my bag is lost", "demo") == "bags"
    assert given(found, "my bag is lost", "other") is None
    assert given(found, "my bag is lost", "unknown") is None


def test_the_order_of_topics_and_examples_changes_nothing() -> None:
    turned = [OwnTopic(t.id, t.name, t.description, t.examples[::-1]) for t in (SEATS, BAGS)]
    one, two = spaces(BAGS, SEATS), spaces(*turned)
    for text in (*BAGS.examples, *SEATS.examples, "lost seat", "a window"):
        vector = MODEL.analyse([text])[0].vector
        assert one.match("demo", vector) == two.match("demo", vector)


def test_a_score_is_at_or_above_its_threshold() -> None:
    found = spaces(BAGS, SEATS)
    thresholds = {each.topic.id: each.threshold for each in found.of["demo"].fitted}
    for text in BAGS.examples:
        matched = found.match("demo", MODEL.analyse([text])[0].vector)
        assert matched is not None
        assert thresholds[matched.id] <= matched.score <= 1


def test_topics_that_say_the_same_are_named_with_the_examples_that_collide() -> None:
    luggage = OwnTopic("luggage", "Luggage", "lost bag", ("lost my bag", *BAGS.examples[1:]))
    (overlap,) = spaces(BAGS, luggage, SEATS).of["demo"].overlaps
    assert (overlap.first, overlap.second) == ("bags", "luggage")
    assert ("luggage", "a bag was lost") in overlap.examples
    assert spaces(BAGS, SEATS).of["demo"].overlaps == ()


def test_an_example_that_belongs_elsewhere_lies_outside() -> None:
    odd = OwnTopic("bags", "Bags", "lost bag or suitcase", (*BAGS.examples[:4], "aisle seat please"))
    fitted = spaces(odd, SEATS).of["demo"].fitted[0]
    assert "aisle seat please" in [example for example, _ in fitted.outside]
    assert not fitted.loose
    scattered = OwnTopic("all", "All", "anything", ("red apples", "two wolves", "my taxes", "old songs", "deep snow"))
    assert spaces(scattered).of["demo"].fitted[0].loose


def test_a_model_without_vectors_is_refused() -> None:
    with pytest.raises(ValueError, match="hash-1 gives no vectors"):
        TopicSpaces({"demo": (BAGS,)}, HashModel())


def test_the_general_messages_are_as_many_in_each_language_and_all_different() -> None:
    assert len(set(GENERAL_MESSAGES)) == len(GENERAL_MESSAGES) == 60


@pytest.mark.parametrize(
    ("was", "now", "line", "said"),
    [
        ("id: bags", "id: Lost Bags", 5, "lower-case letters"),
        ("name: Bags", "title: Bags", 6, "unknown field `title`"),
        ("        name: Bags\n", "", 5, "`name` is missing"),
        ("lost bag again, a bag was lost", "lost bag again", 8, "5 examples or more are needed, not 4"),
        ("lost bag again", "my bag is lost", 8, "stands here twice"),
        ("lost bag again", "'!!'", 8, "nothing in this text can be read"),
        ("description: lost bag or suitcase", "description: ''", 7, "a text that is not empty"),
        ("[my bag", "{my bag", 8, ""),
        ("tenants:", "tenant:", 2, "did you mean `tenants`?"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(was: str, now: str, line: int, said: str) -> None:
    assert FILE.count(was) >= 1
    with pytest.raises(FileError) as refused:
        parse_topics(FILE.replace(was, now))
    assert refused.value.line == line
    assert said in refused.value.message


@pytest.mark.parametrize("again", ["topic", "tenant"])
def test_ids_stand_once(again: str) -> None:
    topic = FILE[FILE.index("      - id: bags") :]
    twice = FILE + (topic if again == "topic" else FILE.removeprefix("\ntenants:\n"))
    with pytest.raises(FileError, match=f"a second {again}"):
        parse_topics(twice)


def test_a_broken_file_leaves_the_last_good_one_in_force(tmp_path: Path) -> None:
    path, metrics = tmp_path / "topics.yaml", Metrics("enrich", CollectorRegistry())
    path.write_text(FILE, encoding="utf-8")
    live = LiveTopics(path, MODEL, metrics)
    vector = MODEL.analyse(["my bag is lost"])[0].vector

    def reloads(outcome: str) -> float | None:
        return metrics.registry.get_sample_value("voz_file_reloads_total", {"file": "topics.yaml", "outcome": outcome})

    path.write_text(FILE.replace("id: bags", "id: Broken Id"), encoding="utf-8")
    live.refresh()
    matched = live.match("demo", vector)
    assert matched is not None
    assert (matched.id, reloads("refused"), reloads("taken")) == ("bags", 1, None)
    path.write_text(FILE.replace("id: bags", "id: luggage"), encoding="utf-8")
    live.refresh()
    matched = live.match("demo", vector)
    assert matched is not None
    assert (matched.id, reloads("taken")) == ("luggage", 1)


class FailingModel(WordModel):
    """Fails on texts with `doom`, and says which."""

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        for text in texts:
            if "doom" in text:
                raise RuntimeError(f"can't read {text}")
        return super().analyse(texts, languages)


def test_a_file_on_which_the_model_fails_is_refused_without_its_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voz_streamkit.reload._log", structlog.get_logger())  # one that no test before has used
    path, model, metrics = tmp_path / "topics.yaml", FailingModel(), Metrics("enrich", CollectorRegistry())
    path.write_text(FILE, encoding="utf-8")
    live = LiveTopics(path, model, metrics)
    path.write_text(FILE.replace("my bag is lost", "doom of my bag").replace("id: bags", "id: new"), encoding="utf-8")
    with capture_logs() as logs:
        live.refresh()
    matched = live.match("demo", model.analyse(["my bag is lost"])[0].vector)
    assert matched is not None
    assert matched.id == "bags"
    said = "the model words-1 fails on the texts of the topics: RuntimeError"
    assert [each["error"] for each in logs] == [said]
    assert "doom" not in str(logs)
    refused = {"file": "topics.yaml", "outcome": "refused"}
    assert metrics.registry.get_sample_value("voz_file_reloads_total", refused) == 1
    with pytest.raises(FileError, match=said):  # at the start, where none is in force
        LiveTopics(path, model, metrics)


def signals_of(text: str, **fields: int) -> Signals:
    metrics = EnrichMetrics(Metrics("enrich", CollectorRegistry()))
    enrich = EnrichEvents(
        decode, MODEL, EnrichedEncoder("voz.events", "words-1"), metrics, 900_000, own_topics=spaces(BAGS, SEATS)
    )
    (prepared,) = enrich.prepare([record(event(text, **fields))])
    return enriched(enrich.answer(prepared, None)).signals


def test_an_answer_carries_the_topic_and_its_score() -> None:
    signals = signals_of("my bag is lost")
    assert signals.own_topic == "bags"
    assert 0 < signals.own_topic_score <= 1
    for other in (signals_of("what a day"), signals_of("my bag is lost", direction=labels.DIRECTION_OUTBOUND)):
        assert (other.own_topic, other.HasField("own_topic_score")) == ("", False)


def test_a_trial_shows_what_each_topic_would_get() -> None:
    texts = ["my bag is lost", "a bag was lost\x1b[2J", "they lost my bag", "lost bag", "hello there"]
    trial = attempt("demo", spaces(BAGS, SEATS).of["demo"], texts, MODEL)
    bags, seats = trial.topics
    assert (trial.messages, len(bags.found), len(seats.found)) == (5, 4, 0)
    assert (len(bags.samples), seats.samples) == (3, [])
    assert [score for _, score in bags.samples] == sorted((score for _, score in bags.samples), reverse=True)
    assert not trial.warned
    said = table([trial], "messages.jsonl")
    assert "5 messages of messages.jsonl, 4 with a topic of its own" in said
    assert "\x1b" not in said
    assert json.loads(json.dumps(as_json(trial)))["topics"][0]["messages"] == 4


def test_a_trial_without_messages_says_so_and_still_compares_the_examples() -> None:
    luggage = OwnTopic("luggage", "Luggage", "lost bag", ("lost my bag", *BAGS.examples[1:]))
    trial = attempt("demo", spaces(BAGS, luggage).of["demo"], [], MODEL)
    said = table([trial], "voz.enriched")
    assert "no messages in voz.enriched" in said
    assert "bags and luggage can't be told apart" in said
    assert trial.warned


def test_what_cannot_be_tried_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, broken = tmp_path / "good.yaml", tmp_path / "broken.yaml"
    good.write_text(FILE, encoding="utf-8")
    broken.write_text(FILE.replace("id: bags", "id: Bags"), encoding="utf-8")
    for arguments, said in (
        ([str(broken)], "broken.yaml, line 5: "),
        ([str(tmp_path / "absent.yaml")], "absent.yaml"),
        ([str(good), "--tenant", "acme"], "no tenant acme in the file; it has demo"),
        ([str(good), "--texts", str(tmp_path / "absent.jsonl")], "absent.jsonl"),
    ):
        assert main(["try", *arguments]) == 2
        captured = capsys.readouterr()
        assert said in captured.err
        assert captured.err.count("\n") == 1
        assert captured.out == ""


def test_analyze_asks_whose_topics_are_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = tmp_path / "both.yaml"
    both.write_text(FILE + FILE.removeprefix("\ntenants:\n").replace("id: demo", "id: acme"), encoding="utf-8")
    assert analyze(["--topics", str(both)]) == 2
    assert "--tenant demo or acme" in capsys.readouterr().err

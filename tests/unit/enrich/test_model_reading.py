"""From logits to signals, and texts to batches."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz.v1 import labels_pb2
from voz_enrich.adapters.outbound.batches import BATCH_ROWS, plan, width
from voz_enrich.adapters.outbound.bundle import HEADS, Bundle, Head
from voz_enrich.adapters.outbound.reading import nothing_to_read, read_signals
from voz_enrich.domain.labels import Effort, Emotion, Intent, Sentiment, Stage, Topic

pytestmark = pytest.mark.unit

BUNDLE = Bundle(
    Path(),
    "test-1",
    128,
    {
        name: Head(
            tuple(labels), 2.0 if name == "sentiment" else 1.0, (0.5,) * len(labels) if name == "intents" else ()
        )
        for name, labels in HEADS.items()
    },
)


def logits(**heads: dict[str, float]) -> dict[str, list[float]]:
    return {name: [heads.get(name, {}).get(label, -4.0) for label in labels] for name, labels in HEADS.items()}


def test_every_head_is_read_by_its_labels() -> None:
    signals = read_signals(
        BUNDLE,
        logits(
            sentiment={"negative": 2.0, "neutral": 0.0, "positive": -2.0},
            emotion={"worry": 1.0},
            intents={"question": 0.4, "complaint": 1.0},
            topic={"returns": 1.0},
            effort={"high": 1.0},
            stage={"leave": 1.0},
        ),
        "es",
    )
    assert (signals.language, signals.sentiment, signals.emotion) == ("es", Sentiment.NEGATIVE, Emotion.WORRY)
    assert signals.intents == (Intent.COMPLAINT, Intent.QUESTION)
    assert (signals.topic, signals.effort, signals.stage) == (Topic.RETURNS, Effort.HIGH, Stage.LEAVE)
    shares = [math.exp(1), 1.0, math.exp(-1)]  # divided by the temperature, 2
    assert signals.scores["sentiment"] == {
        label: round(share / sum(shares), 4) for label, share in zip(Sentiment, shares, strict=True)
    }
    assert signals.sentiment_score == pytest.approx((shares[2] - shares[0]) / sum(shares), abs=1e-4)


@pytest.mark.parametrize(
    ("heard", "intents"),
    [
        ({"other": 2.0}, (Intent.OTHER,)),
        ({"other": 2.0, "praise": 1.0}, (Intent.PRAISE,)),
        ({"praise": -1.0, "request": -0.5}, (Intent.REQUEST,)),
    ],
    ids=["other alone", "other gives way", "nearest when none"],
)
def test_there_is_always_an_intent(heard: dict[str, float], intents: tuple[Intent, ...]) -> None:
    assert read_signals(BUNDLE, logits(intents=heard), "en").intents == intents


@given(
    st.fixed_dictionaries(
        {n: st.lists(st.floats(-1e6, 1e6), min_size=len(v), max_size=len(v)) for n, v in HEADS.items()}
    )
)
def test_scores_are_probabilities_and_labels_their_highest(found: dict[str, list[float]]) -> None:
    signals = read_signals(BUNDLE, found, "und")
    assert -1 <= signals.sentiment_score <= 1
    assert signals.intents
    for name, label in {"sentiment": signals.sentiment, "emotion": signals.emotion, "stage": signals.stage}.items():
        assert sum(signals.scores[name].values()) == pytest.approx(1, abs=1e-3)
        assert signals.scores[name][label] == max(signals.scores[name].values())
    assert all(0 <= share <= 1 for head in signals.scores.values() for share in head.values())


def test_where_nothing_is_said_nothing_is_felt() -> None:
    signals = nothing_to_read()
    assert (signals.language, signals.sentiment, signals.sentiment_score) == ("und", Sentiment.NEUTRAL, 0.0)
    assert (signals.intents, signals.stage) == ((Intent.OTHER,), Stage.USE)
    assert {name: sum(shares.values()) for name, shares in signals.scores.items()} == dict.fromkeys(HEADS, 1.0)


@given(st.lists(st.integers(1, 128), max_size=200))
def test_a_plan_has_each_text_once_at_its_own_width(lengths: list[int]) -> None:
    batches = list(plan(lengths))
    assert sorted(index for _, indexes in batches for index in indexes) == list(range(len(lengths)))
    for padded, indexes in batches:
        assert len(indexes) <= BATCH_ROWS
        assert all(width(lengths[index]) == padded >= lengths[index] for index in indexes)


@pytest.mark.parametrize(
    ("labels", "contract"),
    [
        (Sentiment, labels_pb2.Sentiment),
        (Emotion, labels_pb2.Emotion),
        (Intent, labels_pb2.Intent),
        (Topic, labels_pb2.Topic),
        (Effort, labels_pb2.Effort),
        (Stage, labels_pb2.Stage),
    ],
)
def test_labels_are_those_of_the_contracts(labels: type[Sentiment], contract: type[labels_pb2.Sentiment]) -> None:
    prefix = contract.DESCRIPTOR.name.upper()
    names = {f"{prefix}_{label.name}" for label in labels} | {f"{prefix}_UNSPECIFIED"}
    assert set(contract.keys()) == names

"""From logits to signals. Plain Python floats, one text at a time: nothing here can depend on a neighbour."""

import math
from collections.abc import Mapping, Sequence

from voz_enrich.adapters.outbound.bundle import HEADS, Bundle, Head
from voz_enrich.domain.labels import Effort, Emotion, Intent, Sentiment, Stage, Topic
from voz_enrich.domain.signals import UNDETERMINED_LANGUAGE, TextSignals

DECIMALS = 4


def read_signals(bundle: Bundle, logits: Mapping[str, Sequence[float]], language: str) -> TextSignals:
    """The signals of one text from its logits, head by head. The likeliest label of each head is the answer; every
    intent at or above its threshold is one (`other` only when it is alone), the nearest one when none is."""
    shares = {
        name: (_sigmoids if name == "intents" else _softmax)(logits[name], bundle.heads[name].temperature)
        for name in HEADS
    }
    best = {name: bundle.heads[name].labels[_highest(shares[name])] for name in HEADS}
    scores = {
        name: {
            label: round(share, DECIMALS) for label, share in zip(bundle.heads[name].labels, shares[name], strict=True)
        }
        for name in HEADS
    }
    return TextSignals(
        language=language,
        sentiment=Sentiment(best["sentiment"]),
        sentiment_score=sentiment_score(scores["sentiment"]),
        emotion=Emotion(best["emotion"]),
        intents=_intents(bundle.heads["intents"], shares["intents"]),
        topic=Topic(best["topic"]),
        effort=Effort(best["effort"]),
        stage=Stage(best["stage"]),
        scores=scores,
    )


def nothing_to_read() -> TextSignals:
    """The signals of a text in which nothing is said: empty, blank, control characters only."""
    said = {"sentiment": "neutral", "emotion": "none", "intents": "other", "topic": "other", "effort": "unknown"}
    scores = {
        name: {str(label): float(label == said.get(name, Stage.USE)) for label in labels}
        for name, labels in HEADS.items()
    }
    return TextSignals(
        language=UNDETERMINED_LANGUAGE,
        sentiment=Sentiment.NEUTRAL,
        sentiment_score=0.0,
        emotion=Emotion.NONE,
        intents=(Intent.OTHER,),
        topic=Topic.OTHER,
        effort=Effort.UNKNOWN,
        stage=Stage.USE,
        scores=scores,
    )


def sentiment_score(scores: Mapping[str, float]) -> float:
    """P(positive) - P(negative), in -1..1."""
    return round(scores[Sentiment.POSITIVE] - scores[Sentiment.NEGATIVE], DECIMALS)


def _intents(head: Head, shares: Sequence[float]) -> tuple[Intent, ...]:
    ranked = sorted(zip(shares, head.thresholds, head.labels, strict=True), key=lambda each: -each[0])
    found = [Intent(label) for share, threshold, label in ranked if share >= threshold]
    named = [intent for intent in found if intent is not Intent.OTHER]
    nearest = Intent(max(ranked, key=lambda each: each[0] / each[1])[2])
    return tuple(named or found or [nearest])


def _softmax(logits: Sequence[float], temperature: float) -> list[float]:
    top = max(logits)
    powers = [math.exp((logit - top) / temperature) for logit in logits]
    total = math.fsum(powers)
    return [power / total for power in powers]


def _sigmoids(logits: Sequence[float], temperature: float) -> list[float]:
    # logits of a sound model are far from where exp overflows; the bound is for a bundle that isn't
    return [1.0 / (1.0 + math.exp(min(-logit / temperature, 700.0))) for logit in logits]


def _highest(shares: Sequence[float]) -> int:
    return max(range(len(shares)), key=shares.__getitem__)

"""A stand-in for the model: as quick as nothing, and as deterministic as the real one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar
from zlib import crc32

from voz_enrich.domain.labels import Effort, Emotion, Intent, Sentiment, Stage, Topic
from voz_enrich.domain.signals import TextSignals

E = TypeVar("E", bound=StrEnum)


class HashModel:
    """Implements `SignalModel`: every head's label is drawn from the text's checksum."""

    version = "hash-1"

    def __init__(self, seconds_per_text: float = 0.0) -> None:
        self._seconds_per_text = seconds_per_text

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        """One answer for each text; languages are taken from the hints."""
        if self._seconds_per_text:
            time.sleep(self._seconds_per_text * len(texts))
        hints = languages or [None] * len(texts)
        return [hashed(text, hint) for text, hint in zip(texts, hints, strict=True)]


def hashed(text: str, language: str | None = None) -> TextSignals:
    """The signals that `HashModel` gives to a text."""
    seed = crc32(text.encode(errors="surrogatepass"))

    def drawn(labels: type[E]) -> E:
        members = list(labels)
        return members[crc32(labels.__name__.encode(), seed) % len(members)]

    sentiment = drawn(Sentiment)
    return TextSignals(
        language=language or "und",
        sentiment=sentiment,
        sentiment_score={Sentiment.NEGATIVE: -0.8, Sentiment.NEUTRAL: 0.0, Sentiment.POSITIVE: 0.8}[sentiment],
        emotion=drawn(Emotion),
        intents=(drawn(Intent),),
        topic=drawn(Topic),
        effort=drawn(Effort),
        stage=drawn(Stage),
        scores={"sentiment": {sentiment.value: 1.0}},
    )

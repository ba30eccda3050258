"""A stand-in for the model whose answers can be told by hand: from the words of a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np

from voz_enrich.adapters.outbound.reading import nothing_to_read
from voz_enrich.domain.labels import Intent, Sentiment
from voz_enrich.domain.signals import TextSignals

_SIZE = 512


class WordModel:
    """A `SignalModel`. The score is 0.25 for each `good` less 0.25 for each `bad`; a text with `refund` is a request.
    A vector counts words, so that texts with the same words are near."""

    version = "words-1"

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        """One answer for each text."""
        return [_said(re.findall(r"\w+", text.lower())) for text in texts]


def _said(words: Sequence[str]) -> TextSignals:
    score = (words.count("good") - words.count("bad")) / 4
    wants = 0.9 if "refund" in words else 0.1
    vector = np.zeros(_SIZE, dtype=np.float32)
    for word in words:
        vector[crc32(word.encode()) % _SIZE] += 1
    return replace(
        nothing_to_read(),
        sentiment=Sentiment.POSITIVE if score > 0 else Sentiment.NEGATIVE if score < 0 else Sentiment.NEUTRAL,
        sentiment_score=score,
        intents=(Intent.REQUEST if wants > 0.5 else Intent.OTHER,),
        scores={"intents": {Intent.REQUEST: wants, Intent.OTHER: 1 - wants}},
        vector=vector.tobytes() if words else b"",
    )

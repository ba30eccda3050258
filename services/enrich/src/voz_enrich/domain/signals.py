"""What is derived from one text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voz_enrich.domain.labels import Effort, Emotion, Intent, Sentiment, Stage, Topic
from voz_enrich.domain.own_topics import OwnTopicMatch

HOME_LANGUAGES = ("de", "en", "es", "fr", "it", "pt")
"""What the shipped model is made for."""

UNDETERMINED_LANGUAGE = "und"
"""The ISO 639-2 code for a text whose language can't be told (emoji only, a bare link, nothing at all)."""


@dataclass(frozen=True, slots=True)
class TextSignals:
    """The signals of one text.

    language: ISO 639-1, or `und`.
    sentiment_score: in -1..1, P(positive) - P(negative).
    intents: at least one; the likeliest first.
    scores: head (`sentiment`, `emotion`, `intents`, `topic`, `effort`, `stage`) -> label -> probability in 0..1,
        rounded to 4 decimals. Those of `intents` are independent of one another; those of any other head sum to 1.
    own_topic: the company's own topic that it was given, if any.
    vector: where the text lies in the encoder's space, fp32 numbers in native order; empty where nothing was read.
    """

    language: str
    sentiment: Sentiment
    sentiment_score: float
    emotion: Emotion
    intents: tuple[Intent, ...]
    topic: Topic
    effort: Effort
    stage: Stage
    scores: Mapping[str, Mapping[str, float]]
    own_topic: OwnTopicMatch | None = None
    vector: bytes = field(default=b"", repr=False)

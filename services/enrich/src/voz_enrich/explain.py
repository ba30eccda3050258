"""`voz-enrich analyze --explain`: how much each word moved the sentiment and the strongest intent.

Occlusion (Zeiler and Fergus 2014): each word is left out in turn and the rest is analysed; the difference is what the
word did. It asks the model as it is, whichever it is. Words that say one thing twice hide each other: without one of
them, the other still says it.
"""

import re
from dataclasses import dataclass

from voz_enrich.domain.signals import TextSignals
from voz_enrich.ports import SignalModel
from voz_enrich.terminal import printable, shaded, signed

MAX_WORDS = 64
"""Explained of one text: each costs an analysis."""
_NAMED_WORDS = 5
_LEAST = 0.02
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text and what it did.

    start, end: its characters in the text as given. sentiment: what it added to the sentiment score, in -2..2.
    intent: what it added to the probability of the text's first intent, in -1..1.
    """

    word: str
    start: int
    end: int
    sentiment: float
    intent: float


def explain(model: SignalModel, text: str, language: str | None, signals: TextSignals) -> list[Word]:
    """The first MAX_WORDS words of a text, given its signals by this model."""
    words = list(_WORD.finditer(text))[:MAX_WORDS]
    without = [text[: word.start()] + text[word.end() :] for word in words]
    return [
        Word(
            word.group(),
            word.start(),
            word.end(),
            round(signals.sentiment_score - rest.sentiment_score, 4),
            round(_first_intent(signals, signals) - _first_intent(signals, rest), 4),
        )
        for word, rest in zip(words, model.analyse(without, [language] * len(words)), strict=True)
    ]


def word_count(text: str) -> int:
    """How many words there are to explain."""
    return sum(1 for _ in _WORD.finditer(text))


def drawn(text: str, signals: TextSignals, words: list[Word], *, colour: bool) -> str:
    """The explanation for people: the text once for the sentiment and once for the intent, and the words that did most;
    only these without colours."""
    intent = signals.intents[0]
    lines = []
    for title, moved in (
        (f"sentiment {signals.sentiment} {signed(signals.sentiment_score)}", [word.sentiment for word in words]),
        (f"intent {intent} {_first_intent(signals, signals):.2f}", [word.intent for word in words]),
    ):
        most = sorted(zip(words, moved, strict=True), key=lambda each: -abs(each[1]))[:_NAMED_WORDS]
        named = ", ".join(f"{printable(word.word)} {signed(by)}" for word, by in most if abs(by) >= _LEAST)
        lines.append(f"  {title}: {named or 'no single word moves it'}")
        if colour and words:
            lines.append(f"    {_shaded(text, words, moved)}")
    return "\n".join(lines)


def _shaded(text: str, words: list[Word], moved: list[float]) -> str:
    shown = [shaded(printable(word.word), by) for word, by in zip(words, moved, strict=True)]
    rest = printable(text[words[-1].end :]) if words else ""
    return " ".join([*shown, rest]).rstrip()


def _first_intent(signals: TextSignals, read: TextSignals) -> float:
    return read.scores["intents"][signals.intents[0]]

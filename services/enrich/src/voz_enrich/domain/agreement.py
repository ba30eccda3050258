"""How far two models agree: which texts are asked twice, what is counted, and what the counts say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from voz_enrich.domain.labels import Intent
from voz_enrich.domain.signals import TextSignals

Pairs = Mapping[tuple[str, str], float]
"""(live label, shadow label) -> texts."""


def chosen(event_id: str, share: float) -> bool:
    """Whether an event's text belongs to the share (0..1) that is asked twice. The same event always does or doesn't,
    and what belongs to a share belongs to any greater one."""
    return crc32(event_id.encode()) < share * 2**32


def compared(live: TextSignals, shadow: TextSignals) -> list[tuple[str, str, str]]:
    """(head, live label, shadow label) of one text. Each intent is a question of its own, `intents.complaint`, answered
    `yes` or `no`: so what is counted stays bounded, and each intent has its own agreement."""
    return [
        ("sentiment", live.sentiment, shadow.sentiment),
        ("emotion", live.emotion, shadow.emotion),
        ("topic", live.topic, shadow.topic),
        ("effort", live.effort, shadow.effort),
        ("stage", live.stage, shadow.stage),
        *(
            (f"intents.{intent}", _yes_or_no(intent in live.intents), _yes_or_no(intent in shadow.intents))
            for intent in Intent
        ),
    ]


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """One label: the share of texts that each model gave it, and of those that either gave it, how many both did."""

    label: str
    live_share: float
    shadow_share: float
    both_of_either: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Texts that the live model called `live` and the shadow `shadow`, and their share of all."""

    live: str
    shadow: str
    texts: int
    share: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two models agree in one head.

    kappa: Cohen's (1960), the agreement beyond what their shares alone would bring, 1 at best; None where both gave
        one label to every text. labels, disagreements: the most frequent first.
    """

    texts: int
    agreement: float
    kappa: float | None
    labels: Sequence[LabelAgreement]
    disagreements: Sequence[Disagreement]


def agreement(pairs: Pairs) -> Agreement:
    """What the counts of one head say. There must be at least one text."""
    texts = sum(pairs.values())
    live, shadow = (_totals(pairs, side) for side in (0, 1))
    labels = sorted({*live, *shadow}, key=lambda label: (-live.get(label, 0), label))
    both = {label: pairs.get((label, label), 0) for label in labels}
    agreed = sum(both.values()) / texts
    by_chance = sum(live.get(label, 0) * shadow.get(label, 0) for label in labels) / texts**2
    apart = [(count, pair) for pair, count in pairs.items() if count and pair[0] != pair[1]]
    return Agreement(
        texts=round(texts),
        agreement=agreed,
        kappa=(agreed - by_chance) / (1 - by_chance) if by_chance < 1 else None,
        labels=[
            LabelAgreement(
                label,
                live.get(label, 0) / texts,
                shadow.get(label, 0) / texts,
                both[label] / (live.get(label, 0) + shadow.get(label, 0) - both[label]),
            )
            for label in labels
        ],
        disagreements=[
            Disagreement(*pair, round(count), count / texts)
            for count, pair in sorted(apart, key=lambda each: (-each[0], each[1]))
        ],
    )


def _totals(pairs: Pairs, side: int) -> dict[str, float]:
    totals: dict[str, float] = {}
    for pair, texts in pairs.items():
        if texts:
            totals[pair[side]] = totals.get(pair[side], 0) + texts
    return totals


def _yes_or_no(given: bool) -> str:
    return "yes" if given else "no"

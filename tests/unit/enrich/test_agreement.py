"""Which texts are asked twice, what is counted of them, and what the counts say."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_enrich.domain.agreement import Disagreement, agreement, chosen, compared
from voz_enrich.domain.labels import Intent

from ...chaos.lexicon_model import hashed

pytestmark = pytest.mark.unit
IDS = [str(uuid5(UUID(int=7), str(number))) for number in range(4_000)]
LABELS = st.sampled_from(["negative", "neutral", "positive"])


@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_about_the_share_is_chosen_and_a_greater_share_keeps_them(share: float) -> None:
    few, more = ({each for each in IDS if chosen(each, wanted)} for wanted in (share, share + 0.1))
    assert len(few) / len(IDS) == pytest.approx(share, abs=0.03)
    assert few < more


def test_none_and_all_are_shares_too() -> None:
    assert not any(chosen(each, 0) for each in IDS)
    assert all(chosen(each, 1) for each in IDS)


def test_every_head_has_one_pair_and_every_intent_its_own() -> None:
    live, shadow = hashed("one text"), hashed("another text")
    pairs = compared(live, shadow)
    assert len(pairs) == len({head for head, _, _ in pairs}) == 5 + len(Intent)
    assert ("sentiment", live.sentiment, shadow.sentiment) in pairs
    given = {head for head, mine, _ in pairs if head.startswith("intents.") and mine == "yes"}
    assert given == {f"intents.{intent}" for intent in live.intents}


def test_the_figures_of_a_known_table() -> None:
    # Cohen's kappa of this table is 0.4, by hand: agreement 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    said = agreement({("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15})
    assert (said.texts, said.agreement) == (50, 0.7)
    assert said.kappa == pytest.approx(0.4)
    assert said.disagreements == [Disagreement("no", "yes", 10, 0.2), Disagreement("yes", "no", 5, 0.1)]
    no, yes = said.labels
    assert (yes.label, yes.live_share, yes.shadow_share) == ("yes", 0.5, 0.6)
    assert yes.both_of_either == pytest.approx(20 / 35)
    assert no.both_of_either == pytest.approx(15 / 30)


def test_one_label_for_everything_has_no_kappa() -> None:
    said = agreement({("none", "none"): 9, ("none", "joy"): 0})
    assert (said.texts, said.agreement, said.kappa, said.disagreements) == (9, 1, None, [])
    assert [each.label for each in said.labels] == ["none"]


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1))
def test_the_figures_of_any_table_hold_together(texts: list[tuple[str, str]]) -> None:
    pairs = {pair: texts.count(pair) for pair in texts}
    said = agreement(pairs)
    assert said.texts == len(texts)
    assert said.agreement + sum(each.share for each in said.disagreements) == pytest.approx(1)
    assert sum(each.live_share for each in said.labels) == pytest.approx(1)
    assert sum(each.shadow_share for each in said.labels) == pytest.approx(1)
    assert said.kappa is None or -1 <= said.kappa <= 1 + 1e-9
    turned = agreement({(shadow, live): count for (live, shadow), count in pairs.items()})
    assert turned.agreement == said.agreement
    assert turned.kappa == pytest.approx(said.kappa)

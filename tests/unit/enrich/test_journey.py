"""The journey's rules, and what docs/journey.md says of them."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from voz_enrich.domain.facts import (
    Behaviour,
    EventFacts,
    Metric,
    Payload,
    Profile,
    Rating,
    Retraction,
    SubscriptionStatus,
    SurveyAnswer,
    TicketStatus,
    TransactionType,
)
from voz_enrich.domain.journey import (
    AGREE_FROM_MS,
    AGREE_WITHIN_MS,
    AT_RISK_DAYS,
    DAY_MS,
    DEPTH,
    EXPLICIT,
    HOUR_MS,
    SILENCE_TELLS,
    Cause,
    Transition,
    advance,
    at_risk,
    step,
)
from voz_enrich.domain.journey_state import Hint, JourneyState, Standing
from voz_enrich.domain.labels import Stage
from voz_metrics_api.domain import profiles as metrics_api

DOCUMENT = Path(__file__).parents[3] / "docs" / "journey.md"
Step = tuple[Payload | None, Stage | None]
NPS_9 = SurveyAnswer(Metric.NPS, 9, 0, 10, inverted=False)


def facts(payload: Payload | None = None, *, at: int = 0, inbound: bool = True, customer: bool = True) -> EventFacts:
    return EventFacts(inbound, customer, at, payload)


def walk(*steps: Step, apart_ms: int = 2 * HOUR_MS) -> list[Stage]:
    """The customer's stage after each event of a story."""
    state, stages = None, []
    for offset, (payload, suggested) in enumerate(steps):
        state = advance(state, facts(payload, at=offset * apart_ms), suggested, offset)
        assert state is not None
        stages.append(state.stage)
    return stages


def placed(stage: Stage, standing: Standing = Standing.PROSPECT, at: int = 0) -> JourneyState:
    explicit_ms = None if standing is Standing.PROSPECT else at
    return JourneyState(stage, standing, since_ms=at, heard_ms=at, covers=0, explicit_ms=explicit_ms)


def after(state: JourneyState, event: EventFacts, suggested: Stage | None = None) -> JourneyState:
    """The state after one more event."""
    advanced = advance(state, event, suggested, state.covers + 1)
    assert advanced is not None
    return advanced


def said(state: JourneyState, suggested: Stage, *times: int) -> JourneyState:
    """The state after messages at these times."""
    for at in times:
        state = after(state, facts(at=at), suggested)
    return state


def test_from_the_first_question_to_the_end() -> None:
    assert walk(
        (None, Stage.DISCOVER),
        (None, Stage.CONSIDER),
        (Behaviour("add_to_cart"), Stage.PURCHASE),
        (TransactionType.ORDER_PLACED, Stage.PURCHASE),
        (TransactionType.ORDER_PAID, Stage.ONBOARD),
        (TransactionType.ORDER_DELIVERED, Stage.USE),
        (TicketStatus.NEW, Stage.SUPPORT),
        (TicketStatus.SOLVED, Stage.SUPPORT),
        (NPS_9, Stage.ADVOCATE),
        (SubscriptionStatus.RENEWED, Stage.RENEW),
        (SubscriptionStatus.CANCELLED, Stage.LEAVE),
    ) == [
        Stage.DISCOVER,
        Stage.CONSIDER,
        Stage.PURCHASE,
        Stage.PURCHASE,
        Stage.ONBOARD,
        Stage.USE,
        Stage.SUPPORT,
        Stage.USE,
        Stage.ADVOCATE,
        Stage.RENEW,
        Stage.LEAVE,
    ]


def test_a_stray_message_moves_nobody_backwards_and_a_second_one_does() -> None:
    user = placed(Stage.USE)
    once = said(user, Stage.CONSIDER, HOUR_MS)
    assert (once.stage, once.since_ms) == (Stage.USE, 0)
    twice = said(once, Stage.CONSIDER, 3 * HOUR_MS)
    assert (twice.stage, twice.since_ms, twice.hint) == (Stage.CONSIDER, 3 * HOUR_MS, None)


@pytest.mark.parametrize(
    ("times", "moved"),
    [
        ((1, 1 + HOUR_MS - 1), False),  # one conversation
        ((1, 1 + HOUR_MS), True),
        ((1, 1 + 30 * DAY_MS), True),
        ((1, 2 + 30 * DAY_MS), False),  # another story
        ((1, 2 + 30 * DAY_MS, 2 + 31 * DAY_MS), True),
        ((5 * HOUR_MS, 1), True),  # whichever came first
        ((1, 2, 3, 4, 5, 6), False),
    ],
)
def test_when_a_second_message_agrees(times: tuple[int, ...], moved: bool) -> None:
    state = said(placed(Stage.ADVOCATE), Stage.USE, *times)
    assert state.stage is (Stage.USE if moved else Stage.ADVOCATE)
    assert not moved or state.since_ms == max(times)


def test_two_that_say_different_things_do_not_agree() -> None:
    state = said(placed(Stage.ADVOCATE), Stage.USE, HOUR_MS)
    state = said(state, Stage.SUPPORT, 3 * HOUR_MS)
    assert (state.stage, state.hint) == (Stage.ADVOCATE, Hint(Stage.SUPPORT, 3 * HOUR_MS))
    assert said(state, Stage.SUPPORT, 5 * HOUR_MS).stage is Stage.SUPPORT


def test_whoever_is_heard_where_they_were_has_not_gone_back() -> None:
    state = said(placed(Stage.USE), Stage.DISCOVER, HOUR_MS)
    state = said(state, Stage.USE, 3 * HOUR_MS)
    assert said(state, Stage.DISCOVER, 5 * HOUR_MS).stage is Stage.USE


def test_an_edit_is_no_second_voice() -> None:
    state = said(placed(Stage.USE), Stage.DISCOVER, HOUR_MS)
    edited = after(state, EventFacts(True, True, 5 * HOUR_MS, None, edit=True), Stage.DISCOVER)
    assert edited.stage is Stage.USE
    assert said(edited, Stage.DISCOVER, 6 * HOUR_MS).stage is Stage.DISCOVER


def test_a_goodbye_counts_at_once_and_is_taken_back_by_going_on() -> None:
    state = said(placed(Stage.USE, Standing.CUSTOMER), Stage.LEAVE, HOUR_MS)
    assert state.stage is Stage.LEAVE
    assert said(state, Stage.USE, 2 * HOUR_MS).stage is Stage.LEAVE
    assert said(state, Stage.USE, 2 * HOUR_MS, 4 * HOUR_MS).stage is Stage.USE
    assert after(state, facts(TransactionType.ORDER_PLACED, at=DAY_MS)).stage is Stage.PURCHASE


def test_a_customer_who_asks_before_buying_something_else_stays_where_they_are() -> None:
    state = said(placed(Stage.USE, Standing.CUSTOMER), Stage.CONSIDER, HOUR_MS, 3 * HOUR_MS, 5 * HOUR_MS)
    assert (state.stage, state.hint) == (Stage.USE, None)


def test_a_problem_is_support_at_once_and_an_advocate_s_only_when_it_lasts() -> None:
    assert said(placed(Stage.USE), Stage.SUPPORT, 1).stage is Stage.SUPPORT
    assert said(placed(Stage.SUPPORT), Stage.USE, 1).stage is Stage.USE
    assert said(placed(Stage.ADVOCATE), Stage.SUPPORT, 1).stage is Stage.ADVOCATE
    assert after(placed(Stage.ADVOCATE), facts(TicketStatus.NEW, at=1)).stage is Stage.SUPPORT


def test_only_buying_brings_back_who_is_gone() -> None:
    gone = placed(Stage.LEAVE, Standing.GONE)
    assert said(gone, Stage.USE, HOUR_MS, 3 * HOUR_MS) == JourneyState(
        Stage.LEAVE, Standing.GONE, since_ms=0, heard_ms=3 * HOUR_MS, covers=2, explicit_ms=0
    )
    for settling in (TransactionType.REFUND, TransactionType.RETURN, TicketStatus.NEW, TicketStatus.SOLVED):
        assert after(gone, facts(settling, at=1)).stage is Stage.LEAVE
    assert after(gone, facts(SubscriptionStatus.STARTED, at=1)).stage is Stage.ONBOARD


def test_a_solved_ticket_ends_support_and_nothing_else() -> None:
    assert walk((TransactionType.ORDER_PAID, None), (TicketStatus.SOLVED, None))[-1] is Stage.ONBOARD
    assert walk((TicketStatus.OPEN, None), (None, Stage.LEAVE), (TicketStatus.CLOSED, None))[-1] is Stage.LEAVE


def test_clicks_say_where_a_prospect_is_and_leave_a_customer_alone() -> None:
    assert walk((Behaviour("page_view"), None)) == [Stage.DISCOVER]
    assert walk((None, Stage.CONSIDER), (Behaviour("page_view"), None))[-1] is Stage.CONSIDER
    assert walk((TransactionType.ORDER_DELIVERED, None), (Behaviour("checkout"), Stage.PURCHASE))[-1] is Stage.USE


def test_a_late_event_does_not_move_the_customer() -> None:
    state = placed(Stage.USE, Standing.CUSTOMER, at=1_000)
    assert after(state, facts(TransactionType.ORDER_PLACED, at=999)).stage is Stage.USE
    assert said(state, Stage.ADVOCATE, 999).stage is Stage.USE


def test_an_explicit_event_that_comes_late_still_outranks_the_text_that_was_faster() -> None:
    spoke = said(placed(Stage.DISCOVER), Stage.USE, HOUR_MS)
    ended = after(spoke, facts(SubscriptionStatus.CANCELLED, at=1_000))
    assert (ended.stage, ended.standing, ended.since_ms) == (Stage.LEAVE, Standing.GONE, 1_000)
    # What was said after it still counts where it may.
    paid = after(spoke, facts(TransactionType.ORDER_PAID, at=1_000))
    assert (paid.stage, paid.standing, paid.since_ms) == (Stage.USE, Standing.CUSTOMER, HOUR_MS)


def test_since_is_when_the_customer_was_moved() -> None:
    state = said(placed(Stage.USE, at=10), Stage.USE, 20)
    assert state.since_ms == 10
    assert said(state, Stage.SUPPORT, 30).since_ms == 30


def test_what_others_do_leaves_the_journey_alone() -> None:
    state = placed(Stage.USE, Standing.CUSTOMER)
    for event in (
        facts(at=9, inbound=False),
        facts(SubscriptionStatus.ENDED, at=9, customer=False),
        facts(Retraction(), at=9),
        facts(Profile(), at=9),
    ):
        assert advance(None, event, Stage.USE, 0) is None
        assert advance(state, event, Stage.LEAVE, 4) is state


def test_a_transition_says_from_where_to_where_why_and_after_how_long() -> None:
    bought = placed(Stage.PURCHASE, Standing.CUSTOMER)
    event = facts(TransactionType.ORDER_PAID, at=DAY_MS)
    moved = step(bought, after(bought, event), event, DAY_MS).transition
    assert moved == Transition(Stage.PURCHASE, Stage.ONBOARD, Cause.TRANSACTION, "order_paid", DAY_MS)
    stays = facts(at=2 * DAY_MS)
    assert step(bought, said(bought, Stage.CONSIDER, 2 * DAY_MS), stays, DAY_MS).transition is None


@pytest.mark.parametrize(
    ("payload", "cause", "event_type"),
    [
        (None, Cause.MESSAGE, ""),
        (NPS_9, Cause.SURVEY, "nps"),
        (Rating(5, 1, 5), Cause.RATING, ""),
        (Behaviour("add_to_cart"), Cause.BEHAVIOUR, "add_to_cart"),
        (SubscriptionStatus.STARTED, Cause.SUBSCRIPTION, "started"),
        (TicketStatus.NEW, Cause.TICKET, "new"),
    ],
)
def test_a_first_event_is_a_transition_from_nowhere(payload: Payload | None, cause: Cause, event_type: str) -> None:
    event = facts(payload)
    state = advance(None, event, Stage.USE, 0)
    assert state is not None
    came = step(None, state, event, DAY_MS)
    assert came.transition == Transition(None, state.stage, cause, event_type, None)
    assert (came.previous, came.silence_ms, came.at_risk) == (None, None, False)


@pytest.mark.parametrize("stage", Stage)
def test_silence_is_a_signal_where_silence_tells(stage: Stage) -> None:
    state = placed(stage)
    assert not at_risk(state, 30 * DAY_MS - 1, 30 * DAY_MS)
    assert at_risk(state, 30 * DAY_MS, 30 * DAY_MS) is (stage in SILENCE_TELLS)
    event = facts(at=30 * DAY_MS)
    came_back = step(state, after(state, event), event, 30 * DAY_MS)
    assert (came_back.silence_ms, came_back.at_risk) == (30 * DAY_MS, stage in SILENCE_TELLS)
    assert came_back.after.stage is stage, "it moves nobody"
    assert not at_risk(came_back.after, 31 * DAY_MS, 30 * DAY_MS)


OWNING = (placed(Stage.USE, Standing.CUSTOMER), placed(Stage.SUPPORT, Standing.IN_SUPPORT))


@pytest.mark.parametrize(
    "payload",
    [
        TransactionType.ORDER_DELIVERED,
        SubscriptionStatus.RENEWED,
        SubscriptionStatus.ENDED,
        TicketStatus.PENDING,
        TicketStatus.SOLVED,
        TicketStatus.CLOSED,
    ],
)
def test_what_is_done_for_a_customer_is_no_sign_of_them(payload: Payload) -> None:
    assert [after(state, facts(payload, at=DAY_MS)).heard_ms for state in OWNING] == [0, 0]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        NPS_9,
        Rating(1, 1, 5),
        Behaviour("page_view"),
        TransactionType.ORDER_PLACED,
        TransactionType.REFUND,
        SubscriptionStatus.UPGRADED,
        SubscriptionStatus.CANCELLED,
        TicketStatus.NEW,
        TicketStatus.REOPENED,
    ],
)
def test_what_a_customer_does_is_a_sign_of_them_unless_it_comes_late(payload: Payload | None) -> None:
    for at, heard in ((DAY_MS, DAY_MS), (-DAY_MS, 0)):
        assert [after(state, facts(payload, at=at)).heard_ms for state in OWNING] == [heard, heard]


def table(heading: str) -> dict[tuple[str, str], str]:
    """The cells of the first table under a heading of the document, by (row, column)."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip().replace("`", "").replace("*", "") for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    columns = rows[0][1:]
    return {(row[0], column): cell for row in rows[2:] for column, cell in zip(columns, row[1:], strict=True)}


STANDINGS = {
    "prospect": Standing.PROSPECT,
    "customer": Standing.CUSTOMER,
    "in support": Standing.IN_SUPPORT,
    "gone": Standing.GONE,
}
POSSIBLE = {
    Standing.PROSPECT: set(Stage),
    Standing.CUSTOMER: set(Stage) - {Stage.DISCOVER, Stage.CONSIDER},
    Standing.IN_SUPPORT: {Stage.SUPPORT, Stage.LEAVE},
    Standing.GONE: {Stage.LEAVE},
}


def test_the_document_says_what_explicit_events_do() -> None:
    cells = table("What moves them for certain")
    names = {event.type if isinstance(event, Behaviour) else str(event): event for event in EXPLICIT}
    assert {row for row, _ in cells} == set(names)
    for (row, column), cell in cells.items():
        standing = STANDINGS[column]
        for stage in POSSIBLE[standing]:
            state = after(placed(stage, standing), facts(names[row], at=1))
            if cell == "stays" or (row in ("solved", "closed") and stage is Stage.LEAVE):
                assert state.stage is stage, (row, column, stage)
            else:
                words = dict(zip(("stage", "standing"), cell.split(", "), strict=True))
                assert (state.stage, state.standing) == (words["stage"], STANDINGS[words["standing"]]), (row, column)


def test_the_document_says_what_a_suggestion_does_from_each_stage() -> None:
    cells = table("What a message, survey or cart suggests")
    assert set(cells) == set(product([*map(str, Stage)], [*map(str, Stage)]))
    for (row, column), cell in cells.items():
        start, end = Stage(row), Stage(column)
        once = said(placed(start), end, HOUR_MS)
        twice = said(once, end, 3 * HOUR_MS)
        found = "once" if once.stage is end else "twice" if twice.stage is end else "never"
        assert ("–" if start is end else found) == cell, (row, column)


def test_the_document_says_to_whom_suggestions_matter() -> None:
    cells = table("Who may be moved by it")
    assert set(cells) == set(product(STANDINGS, map(str, Stage)))
    for (row, column), cell in cells.items():
        standing, end = STANDINGS[row], Stage(column)
        starts = POSSIBLE[standing] - {end}
        moved = {said(placed(start, standing), end, HOUR_MS, 3 * HOUR_MS).stage is end for start in starts}
        assert moved <= {cell == "yes"}, (row, column)


def test_the_document_names_the_numbers_and_draws_every_stage() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    for stage in Stage:
        assert f"`{stage}`" in document
        assert f"  {stage} --> " in document
    assert f"(default {AT_RISK_DAYS})" in document
    assert f"from {AGREE_FROM_MS // HOUR_MS} hour to {AGREE_WITHIN_MS // DAY_MS} days apart" in document
    silence = document.split("## Silence\n")[1].split(" of whom nothing is heard")[0]
    assert set(re.findall(r"`(\w+)`", silence)) == SILENCE_TELLS == metrics_api.SILENCE_TELLS
    assert set(DEPTH) == set(Stage)

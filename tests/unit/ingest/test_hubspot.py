"""HubSpot's webhooks only say that something happened: what is asked for then."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from voz_ingest.adapters.inbound.sources import Payload, Pull, load

TOKEN = {"access_token": "pat-eu1-x"}
MESSAGE = {
    "subscriptionType": "conversation.newMessage",
    "objectId": 9001,
    "messageId": "9f0c",
    "messageType": "MESSAGE",
}
STAGE = {"subscriptionType": "ticket.propertyChange", "objectId": 501, "propertyName": "hs_pipeline_stage"}


def asked(events: Any, options: Any = TOKEN) -> list[Pull]:
    announced = load("hubspot").announced
    assert announced is not None
    return announced(Payload(json.dumps(events).encode(), options=options), ["client secret"])


def test_a_message_is_asked_for_once_with_the_connections_token() -> None:
    (pull,) = asked([MESSAGE, {**MESSAGE, "attemptNumber": 1}])
    assert pull.url == "https://api.hubapi.com/conversations/v3/conversations/threads/9001/messages/9f0c"
    assert pull.headers["Authorization"] == "Bearer pat-eu1-x"


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (
            {"subscriptionType": "conversation.creation", "objectId": "9001"},
            "/conversations/v3/conversations/threads/9001/messages",
        ),
        ({"subscriptionType": "ticket.creation", "objectId": 501}, "/crm/v3/objects/tickets/501"),
        (STAGE, "/crm/v3/objects/tickets/501"),
        ({**STAGE, "subscriptionType": "object.propertyChange", "objectTypeId": "0-5"}, "/crm/v3/objects/tickets/501"),
        (
            {"subscriptionType": "object.creation", "objectTypeId": "0-19", "objectId": 512},
            "/crm/v3/objects/feedback_submissions/512",
        ),
        ({"subscriptionType": "contact.creation", "objectId": 1201}, "/crm/v3/objects/contacts/1201"),
    ],
)
def test_what_an_event_is_about_is_asked_for(event: Any, path: str) -> None:
    (pull,) = asked([event])
    assert urlsplit(pull.url).path == path


def test_of_a_ticket_its_contact_is_asked_for_too() -> None:
    (pull,) = asked([STAGE])
    query = parse_qs(urlsplit(pull.url).query)
    assert query["associations"] == ["contacts"]
    assert "hs_pipeline_stage" in query["properties"][0].split(",")


@pytest.mark.parametrize(
    "event",
    [
        {**MESSAGE, "messageType": "COMMENT"},
        {**MESSAGE, "messageId": "../../owners"},
        {**MESSAGE, "objectId": "9001/../1"},
        {**STAGE, "propertyName": "hs_ticket_priority"},
        {"subscriptionType": "contact.propertyChange", "objectId": 1201, "propertyName": "email"},
        {"subscriptionType": "deal.creation", "objectId": 7},
    ],
)
def test_nothing_is_asked_for_where_nothing_is_to_be_had(event: Any) -> None:
    assert asked([event]) == []


def test_without_a_token_nothing_is_asked_for() -> None:
    assert asked([MESSAGE], options={}) == []


def test_stages_must_be_statuses_of_tickets() -> None:
    check = load("hubspot").check
    assert check is not None
    check({"stages": {77341122: "solved"}})
    with pytest.raises(ValueError, match="stages"):
        check({"stages": {"1": "waiting"}})

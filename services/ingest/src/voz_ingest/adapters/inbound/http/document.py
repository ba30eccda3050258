"""The OpenAPI document of `POST /v1/events`, whose body the endpoint reads itself. Words come from the domain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI

from voz_ingest.domain import payloads, reading
from voz_streamkit.http.problems import problem_responses

DESCRIPTION = """Accepts events and answers once Kafka has replicated them.

A `202` is a promise: what it lists under `ids` is on every in-sync replica. `503` means that nothing is promised: send
it again, with the same ids (or the same `Idempotency-Key`), and it stays one event however often it arrives."""

Schema = dict[str, Any]


def _string(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _word(words: Iterable[str], description: str = "", **more: Any) -> Schema:
    return {"type": "string", "enum": [str(word) for word in words], "description": description, **more}


def _object(properties: Schema, required: Iterable[str] = (), **more: Any) -> Schema:
    found = {"type": "object", "properties": properties, **more}
    return {**found, "required": [*required]} if required else found


_LABELS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
    "maxProperties": 64,
}
_NUMBER: Schema = {"type": "number"}

SCHEMAS: Schema = {
    "Survey": _object(
        {
            "metric": _word(payloads.SURVEY_METRICS),
            "score": _NUMBER,
            "scale": _object(
                {"min": _NUMBER, "max": _NUMBER, "inverted": {"type": "boolean"}},
                description="Default: nps 0-10, csat 1-5, ces 1-7. `inverted`: a high score is a bad experience.",
            ),
            "question": _string("What was asked.", maxLength=2000),
            "comment": _string("What the customer added."),
        },
        ["metric", "score"],
    ),
    "Transaction": _object(
        {
            "type": _word(payloads.TRANSACTION_TYPES),
            "amount": {"type": ["string", "number"], "description": "Decimal, in major units; a string keeps digits."},
            "currency": _string("ISO 4217; required with an amount.", pattern="^[A-Z]{3}$"),
            "order_id": _string("The order."),
        },
        ["type"],
    ),
    "Subscription": _object(
        {"status": _word(payloads.SUBSCRIPTION_STATUSES), "plan": _string("The plan.")}, ["status"]
    ),
    "Behaviour": _object(
        {
            "type": _string("page_view, click, rage_click, dead_click, form_abandoned, error, search …", maxLength=64),
            "url": _string("The page.", maxLength=2048),
            "element": _string("CSS selector or accessible name.", maxLength=500),
            "x": {**_NUMBER, "description": "CSS pixels from the viewport's left."},
            "y": {**_NUMBER, "description": "CSS pixels from the viewport's top."},
            "viewport": _object({"width": {"type": "integer"}, "height": {"type": "integer"}}),
        },
        ["type"],
    ),
    "Ticket": _object(
        {
            "id": _string("The ticket."),
            "status": _word(payloads.TICKET_STATUSES),
            "priority": _string("As the help desk has it."),
            "assignee": _string("Who has it."),
        },
        ["id", "status"],
    ),
    "Profile": {**_LABELS, "description": "Attributes of the customer, and other ids of the same person."},
    "Event": _object(
        {
            "id": _string("The source's own id. The same (source, id) sent again is the same event. Default: random."),
            "tenant": _string("Need not be given; if it is, it must be the key's."),
            "source": _string("Where it came from.", default="api"),
            "channel": _word(reading.CHANNELS, "The kind of place where it happened."),
            "kind": _word(reading.KINDS, "Default: that of the payload, else message."),
            "audience": _word(reading.AUDIENCES, "Whose voice it is.", default="customer"),
            "direction": _word(
                reading.DIRECTIONS, "Inbound: they speak. Outbound: the company answers.", default="inbound"
            ),
            "customer": _object(
                {
                    "id": _string("The company's own id.", maxLength=255),
                    "handle": _string("Their name at the source.", maxLength=255),
                    "name": _string("For people.", maxLength=500),
                    "reach": {"type": "integer", "minimum": 0, "description": "Followers or audience, people."},
                },
                anyOf=[{"required": ["id"]}, {"required": ["handle"]}],
            ),
            "conversation": _object(
                {"id": _string("The thread."), "reply_to": _string("The source's id of what this one answers.")}
            ),
            "text": _string("What was said, at most 256 KiB in UTF-8. Control characters are taken out."),
            "language": _string("As declared: a language tag such as es or pt-BR.", examples=["es"]),
            "occurred_at": _string(
                "RFC 3339 with its offset, from 1990 to a day ahead. Default: now.", format="date-time"
            ),
            "attributes": {**_LABELS, "description": "product, campaign, segment, store …"},
            **{name: {"$ref": f"#/components/schemas/{name.capitalize()}"} for name in reading.PAYLOAD_KINDS},
        },
        ["channel", "customer"],
        description="One thing that happened: a text, or one typed payload (or a payload with a text). Fields that are"
        " not listed here are kept out, and named in the answer.",
    ),
    "CloudEvent": _object(
        {
            "specversion": _word(["1.0"]),
            "id": _string("With `source` it names the event."),
            "source": _string("Where it came from.", format="uri-reference"),
            "type": _string("Any."),
            "time": _string("When it happened, where `data` does not say.", format="date-time"),
            "subject": _string("The customer's id, where `data` does not say."),
            "datacontenttype": _string("JSON.", default="application/json"),
            "data": {"$ref": "#/components/schemas/Event"},
        },
        ["specversion", "id", "source", "type"],
        description="CloudEvents 1.0, structured. `data` is an event; `data_base64` may hold it instead.",
    ),
    "Receipt": _object(
        {
            "accepted": {"type": "integer", "description": "Events that Kafka has replicated."},
            "ids": {
                "type": "array",
                "items": {"type": "string", "format": "uuid"},
                "description": "In the order sent.",
            },
            "rejected": {
                "type": "array",
                "items": _object(
                    {
                        "index": {"type": "integer", "description": "Which event, from 0."},
                        "pointer": _string("JSON pointer into that event."),
                        "detail": _string("What is wrong there."),
                        "errors": {"$ref": "#/components/schemas/Problem/properties/errors"},
                    },
                    ["index", "pointer", "detail"],
                    description="`errors` lists all of them when there are several.",
                ),
            },
            "ignored": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Pointers of fields that nobody knows; they were kept out. Absent when there are none.",
            },
        },
        ["accepted", "ids", "rejected"],
    ),
}

_EVENT = {"$ref": "#/components/schemas/Event"}
_CLOUDEVENT = {"$ref": "#/components/schemas/CloudEvent"}
EXAMPLE = {
    "id": "tweet-841",
    "channel": "social",
    "customer": {"id": "c-42", "handle": "@ana", "name": "Ana", "reach": 1200},
    "text": "Tercera vez que se cae la app al pagar",
    "language": "es",
    "occurred_at": "2026-11-20T10:00:00Z",
    "attributes": {"product": "fibra-600"},
}


_RECEIPT: Schema = {"application/json": {"schema": {"$ref": "#/components/schemas/Receipt"}}}


def _problems(*statuses: int) -> Schema:
    return {str(status): found for status, found in problem_responses(*statuses).items()}


def _header(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


EVENTS_PATH = "/v1/events"
_EVENTS: Schema = {
    "post": {
        "summary": "Send events",
        "tags": ["events"],
        "operationId": "sendEvents",
        "security": [{"key": []}],
        "parameters": [
            _header(
                "Idempotency-Key", "Names events that have no id, so that a retry of the request is the same events."
            ),
            _header("ce-specversion", "CloudEvents binary mode: attributes as `ce-` headers, the body is `data`."),
            _header("ce-id", "CloudEvents binary mode."),
            _header("ce-source", "CloudEvents binary mode."),
            _header("ce-type", "CloudEvents binary mode."),
            _header("ce-time", "CloudEvents binary mode."),
            _header("ce-subject", "CloudEvents binary mode."),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [_EVENT, {"type": "array", "items": _EVENT}]},
                    "example": EXAMPLE,
                },
                "application/x-ndjson": {"schema": {**_EVENT, "description": "One a line; read as a stream."}},
                "application/cloudevents+json": {"schema": _CLOUDEVENT},
                "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _CLOUDEVENT}},
            },
        },
        "responses": {
            "202": {"description": "Replicated", "content": _RECEIPT},
            **_problems(401, 403, 413, 415, 422, 429, 503),
        },
    },
}


WEBHOOKS_PATH = "/v1/webhooks/{connection}"
_CONNECTION: Schema = {
    "name": "connection",
    "in": "path",
    "required": True,
    "description": "A connection of VOZ_CONNECTIONS_FILE.",
    "schema": {"type": "string"},
}
_SECRET: Schema = {
    "name": "secret",
    "in": "query",
    "required": False,
    "description": "The connection's secret, for sources that sign nothing.",
    "schema": {"type": "string"},
}
_WEBHOOKS: Schema = {
    "parameters": [_CONNECTION],
    "post": {
        "summary": "A source's own webhook",
        "description": "In the source's own shape and with its own signature, which is checked before anything is read."
        " What is no event (a receipt, a type that nobody knows) is accepted and counted.",
        "tags": ["webhooks"],
        "operationId": "receiveWebhook",
        "parameters": [_SECRET],
        "requestBody": {"required": True, "content": {"*/*": {"schema": {}}}},
        "responses": {
            "200": {"description": "Replicated, for sources that take no other word for it", "content": _RECEIPT},
            "202": {"description": "Replicated", "content": _RECEIPT},
            **_problems(401, 404, 413, 422, 429, 503),
        },
    },
    "get": {
        "summary": "A source's challenge",
        "description": "The question whether this endpoint is ours: its parameters are the source's.",
        "tags": ["webhooks"],
        "operationId": "answerChallenge",
        "responses": {
            "200": {"description": "The answer", "content": {"*/*": {"schema": {"type": "string"}}}},
            **_problems(401, 404, 405),
        },
    },
}


def complete(app: FastAPI) -> None:
    """Add the paths that FastAPI doesn't know of, with their schemas and the security scheme."""
    made = app.openapi

    def openapi() -> Schema:
        schema = made()
        components = schema.setdefault("components", {})
        components.setdefault("schemas", {}).update(SCHEMAS)
        schema["paths"] = {EVENTS_PATH: _EVENTS, WEBHOOKS_PATH: _WEBHOOKS, **schema["paths"]}
        components["securitySchemes"] = {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key with the scope `events:write`; for identities `admin`.",
            }
        }
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document

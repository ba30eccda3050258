"""Qualtrics: survey responses, fetched when an event subscription announces them, or sent by a workflow's web service.

https://api.qualtrics.com/ZG9jOjg3NzY3Nw-example-use-cases-walkthrough (event subscriptions)
https://api.qualtrics.com/1179a68b7183c-retrieve-a-survey-response
https://www.qualtrics.com/support/survey-platform/actions-module/web-service-task/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from voz_ingest.adapters.inbound.formats import drafts, forms, ids, pulling, signatures, surveys, times, walk
from voz_ingest.adapters.inbound.formats.surveys import Answer
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, Pull, decode
from voz_ingest.domain.draft import Draft

SUCCESS = 200
HOSTS = frozenset({"*.qualtrics.com"})
CUSTOMER_IDS = "company"  # `externalDataReference`: a contact's id is the company's own

_SURVEY, _RESPONSE = re.compile(r"SV_[A-Za-z0-9]{1,40}"), re.compile(r"R_[A-Za-z0-9]{1,40}")
_DATACENTER = re.compile(r"[a-z0-9-]{1,40}(\.[a-z0-9-]{1,40}){0,2}")
_QUESTION = re.compile(r"(?:\d+_)?QID\d+(?:#\d+)?(?:_\d+)*")
_TEXT = re.compile(r"((?:\d+_)?QID\d+(?:#\d+)?(?:_\d+)*)_TEXT")
_SCORED = frozenset({"metric", "max", "values"})
_ZONED = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
_GROUP = "_NPS_GROUP"
_IDS = ("responseId", "ResponseID", "responseID", "ResponseId", "response_id", "_recordId")
_PREVIEW, _TEST, _SPAM = "1", "2", "8"
_KNOWN = frozenset({"startDate", "endDate", "recordedDate", "status", "ipAddress", "progress", "duration", "finished"})
_KNOWN |= {"locationLatitude", "locationLongitude", "recipientEmail", "recipientFirstName", "recipientLastName"}
_KNOWN |= {"externalDataReference", "distributionChannel", "userLanguage", "surveyId", "contactId", "SurveyID"}


def check(options: Mapping[str, Any]) -> None:
    """Raises ValueError for a data center that is no host's name, a zone that nobody knows, and useless `questions`."""
    surveys.check(options)
    if not _DATACENTER.fullmatch(str(options.get("datacenter", "x"))):
        raise ValueError("datacenter must be the first part of the account's address, such as fra1")
    try:
        _zone(options)
    except (OSError, ValueError, KeyError):
        raise ValueError("timezone must be a time zone such as America/Denver") from None


def parse(payload: Payload) -> list[Draft]:
    """The scores and texts of responses: one, an export, or a workflow's flat fields. An announcement has none."""
    document = _document(payload)
    found: list[Fields] = []
    for response in _responses(document):
        found += _events(response, payload.options)
    return drafts.once(found)


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether `HMAC` is that of `MSG`, by a subscription's shared key; where there is none, whether the connection's
    secret stands in the URL."""
    try:
        fields = _form(payload)
    except PayloadError:
        return False
    if "HMAC" not in fields:
        return signatures.secret_in_url(payload, secrets)
    message = fields.get("MSG", "").encode("utf-8", "surrogateescape")
    expected = [signatures.hex_hmac(secret, message, "sha512") for secret in secrets]
    return bool(message) and signatures.matches([fields["HMAC"].lower()], expected)


def announced(payload: Payload, secrets: Sequence[str]) -> list[Pull]:
    """The response that an event announces: at the data center of the options, with their `api_token`."""
    try:
        event = _document(payload)
    except PayloadError:
        return []
    survey, response = walk.string(event, "SurveyID"), walk.string(event, "ResponseID")
    token = str(payload.options.get("api_token", "")) or next(iter(secrets), "")
    is_complete = walk.string(event, "Status").lower() in ("complete", "completed", "")
    base = _base(payload.options)
    if not (base and token and is_complete and _SURVEY.fullmatch(survey) and _RESPONSE.fullmatch(response)):
        return []
    url = pulling.url(base, "API", "v3", "surveys", survey, "responses", response)
    return [Pull(url, {"X-API-TOKEN": token, "Accept": "application/json"})]


def _base(options: Mapping[str, Any]) -> str:
    """Where the account's API is; empty while nobody says."""
    datacenter = str(options.get("datacenter", ""))
    host = f"https://{datacenter}.qualtrics.com" if _DATACENTER.fullmatch(datacenter) else ""
    return walk.string(dict(options), "base_url") or host


def _form(payload: Payload) -> dict[str, str]:
    return {} if payload.body.lstrip()[:1] in (b"{", b"[") else forms.fields(payload)


def _document(payload: Payload) -> Fields:
    """What was sent: JSON, a form, or JSON in a field of a form (`MSG`). Raises PayloadError."""
    form = _form(payload)
    if "MSG" in form:
        try:
            inner = decode(form["MSG"].encode("utf-8", "surrogateescape"))
        except PayloadError:
            return {}  # encrypted
        return inner if isinstance(inner, dict) else {}
    document = form or decode(payload.body)
    if not isinstance(document, dict):
        raise PayloadError("", "must be a JSON object or a form")
    return document


def _responses(document: Fields) -> Iterator[tuple[Fields, Fields]]:
    """Each response as its values and their labels."""
    whole = [walk.fields(document, "result"), *walk.objects(document, "responses")]
    for response in whole if any(whole) else [document]:
        values = walk.fields(response, "values") or response
        number = next(filter(None, (walk.identifier(each, name) for each in (response, values) for name in _IDS)), "")
        if number:
            yield {**values, "responseId": number}, walk.fields(response, "labels")


def _events(response: tuple[Fields, Fields], options: Mapping[str, Any]) -> list[Fields]:
    values, labels = response
    number = values["responseId"]
    status = walk.identifier(values, "status")
    if status in (_PREVIEW, _TEST, _SPAM) or walk.string(values, "distributionChannel") == "preview":
        return []
    specs = surveys.questions(options)
    answers = [*_answers(values, labels, specs)]
    common = walk.some(
        id=ids.compose(number),
        source="qualtrics",
        channel="survey",
        customer=_customer(values, options, number),
        conversation={"id": ids.compose(number)},
        language=walk.language(values, "userLanguage"),
        occurred_at=_moment(values, options),
        attributes={
            **surveys.facts(_embedded(values), without=[*specs, str(options.get("customer_field", ""))]),
            **surveys.chosen(answers, options),
            **drafts.attributes(
                survey_id=walk.identifier(values, "surveyId") or walk.identifier(values, "SurveyID"),
                distribution=walk.string(values, "distributionChannel"),
            ),
        },
    )
    return surveys.events(answers, common, options)


def _answers(values: Fields, labels: Fields, specs: Fields) -> Iterator[Answer]:
    """The answers in their order: a question with an NPS group beside it is one, text is what stands under `_TEXT`; of
    other numbers only the connection knows what they mean."""
    for name, value in values.items():
        text, number = _TEXT.fullmatch(name), walk.number(value)
        said, label = walk.string(value), walk.string(labels, name) or ", ".join(walk.strings(labels, name))
        if f"{name}{_GROUP}" in values:
            yield Answer(name, (name,), score=number, scale=(0.0, 10.0), metric="nps")
        elif _SCORED & walk.fields(specs, name).keys():
            words = "" if label or number is not None else said
            yield Answer(name, (name,), score=number, text=words, choices=(walk.identifier(value),), label=label)
        elif name in specs and said:
            yield Answer(name, (name,), text=label or said)
        elif text and said:
            yield Answer(name, (name, text[1]), question=text[1], text=said)
        elif label and _QUESTION.fullmatch(name):
            yield Answer(name, (name,), label=label)


def _customer(values: Fields, options: Mapping[str, Any], number: str) -> Fields:
    """A contact of the directory, by the company's reference for it; else by the address; else only this response."""
    reference = next(
        filter(None, (walk.identifier(values, name) for name in ("externalDataReference", "ExternalReference"))), ""
    )
    emails = [walk.string(values, name) for name in ("recipientEmail", "RecipientEmail", "email", "Email")]
    names = (walk.string(values, "recipientFirstName"), walk.string(values, "recipientLastName"))
    contact = walk.identifier(values, "contactId") or walk.identifier(values, "contactID")
    fields = values if "customer_field" in options else {**values, **({"customer_id": reference} if reference else {})}
    handles = [*filter(None, emails), *filter(None, [contact])]
    return surveys.customer(fields, options, handles=handles, name=" ".join(filter(None, names)), otherwise=number)


def _embedded(values: Fields) -> Fields:
    """Embedded data: what is neither an answer nor Qualtrics' own."""
    return {
        name: value
        for name, value in values.items()
        if name not in _KNOWN and name not in _IDS and not name.startswith("Q_") and not _QUESTION.match(name)
    }


def _moment(values: Fields, options: Mapping[str, Any]) -> str | None:
    """When it was finished, by a time that has its zone; those that have none are in the option `timezone`."""
    names = ("endDate", "recordedDate", "EndDate", "RecordedDate", "CompletedDate", "completedDate")
    said = [walk.string(values, name) for name in names]
    said.sort(key=lambda each: _ZONED.search(each) is None)
    try:
        zone = _zone(options)
    except (OSError, ValueError, KeyError):
        zone = UTC
    return next(filter(None, (times.iso(each, zone) for each in said)), None)


def _zone(options: Mapping[str, Any]) -> tzinfo:
    name = str(options.get("timezone", "UTC"))
    return UTC if name == "UTC" else ZoneInfo(name)

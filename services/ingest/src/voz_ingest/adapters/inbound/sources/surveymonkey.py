"""SurveyMonkey: survey responses, fetched with their details when a webhook announces them.

https://api.surveymonkey.com/v3/docs#webhook-callbacks
https://api.surveymonkey.com/v3/docs#api-endpoints-get-surveys-survey_id-responses-response_id-details
https://api.surveymonkey.com/v3/docs#formatting-question-types
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voz_ingest.adapters.inbound.formats import drafts, ids, pulling, signatures, surveys, times, walk
from voz_ingest.adapters.inbound.formats.surveys import Answer
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, PayloadError, Pull, decode_object
from voz_ingest.domain.draft import Draft

SUCCESS = 200
CUSTOMER_IDS = "company"  # custom variables, which the company puts into its links

_REGIONS = {"us": "api.surveymonkey.com", "eu": "api.eu.surveymonkey.com", "ca": "api.surveymonkey.ca"}
HOSTS = frozenset(_REGIONS.values())
_ANNOUNCED = frozenset({"response_completed", "response_updated"})
_NUMBER = re.compile(r"\d{1,20}")
_NPS_WEIGHTS = {-100.0: 3.0, 0.0: 7.5, 100.0: 9.5}
"""What an NPS choice weighs, and the middle of the group that it stands for: the number itself is only in its label."""
_NPS_GROUPS = {-100.0: range(7), 0.0: range(7, 9), 100.0: range(9, 11)}
_NAMES = frozenset({"demographic", "datetime", "presentation"})
_TAGS = re.compile(r"<[^<>]{0,300}>")


def check(options: Mapping[str, Any]) -> None:
    """Raises ValueError for a region that there isn't, and useless `questions`."""
    surveys.check(options)
    if options.get("region", "us") not in _REGIONS:
        raise ValueError(f"region must be one of {', '.join(_REGIONS)}")


def parse(payload: Payload) -> list[Draft]:
    """The scores and texts of completed responses, one or a page of them. Announcements are none."""
    document = decode_object(payload)
    found: list[Fields] = []
    for response in walk.objects(document, "data") if isinstance(document.get("data"), list) else [document]:
        if "pages" in response and walk.string(response, "response_status") in ("completed", ""):
            found += _events(response, payload.options)
    return drafts.once(found)


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether `Sm-Signature` is that of the bytes received. The key is `client_id&client_secret`: a secret is that, or
    the client's secret alone, with the option `client_id`."""
    client = str(payload.options.get("client_id", ""))
    keys = [secret if "&" in secret or not client else f"{client}&{secret}" for secret in secrets]
    expected = [signatures.base64_hmac(key, payload.body, "sha1") for key in keys]
    return signatures.matches([payload.headers.get("sm-signature", "").strip()], expected)


def announced(payload: Payload, secrets: Sequence[str]) -> list[Pull]:
    """The details of the response that a webhook announces, with the option `access_token`; `simple` adds the words of
    questions and choices to their ids."""
    try:
        event = decode_object(payload)
    except PayloadError:
        return []
    response = walk.identifier(event, "object_id") or walk.identifier(event, "resources", "respondent_id")
    survey = walk.identifier(event, "resources", "survey_id")
    token = str(payload.options.get("access_token", "")) or next((each for each in secrets if "&" not in each), "")
    host = _REGIONS.get(str(payload.options.get("region", "us")), _REGIONS["us"])
    base = walk.string(dict(payload.options), "base_url") or f"https://{host}"
    if walk.string(event, "event_type") not in _ANNOUNCED or not token:
        return []
    if not _NUMBER.fullmatch(response) or not _NUMBER.fullmatch(survey):
        return []
    url = pulling.url(base, "v3", "surveys", survey, "responses", response, "details", query=[("simple", "true")])
    return [Pull(url, {"Authorization": f"Bearer {token}", "Accept": "application/json"})]


def _events(response: Fields, options: Mapping[str, Any]) -> list[Fields]:
    number, mode = walk.identifier(response, "id"), walk.string(response, "collection_mode")
    if not number or mode.endswith("preview"):
        return []
    answers = [*_answers(response)]
    modified = times.iso(response.get("date_modified"))
    variables = walk.fields(response, "custom_variables")
    common = walk.some(
        id=ids.compose(number),
        source="surveymonkey",
        channel="survey",
        customer=_customer(response, variables, options, number),
        conversation={"id": ids.compose(number)},
        language=walk.language(response, "language"),
        occurred_at=modified or times.iso(response.get("date_created")),
        attributes={
            **surveys.facts(variables, without=[str(options.get("customer_field", ""))]),
            **surveys.chosen(answers, options),
            **drafts.attributes(
                survey_id=walk.identifier(response, "survey_id"),
                collector=walk.identifier(response, "collector_id"),
                custom_value=walk.identifier(response, "custom_value"),
                url=walk.string(response, "analyze_url"),
            ),
        },
    )
    found = surveys.events(answers, common, options)
    return [drafts.edit(event, modified or "1") for event in found] if mode == "edit" else found


def _answers(response: Fields) -> Iterator[Answer]:
    for page in walk.objects(response, "pages"):
        for question in walk.objects(page, "questions"):
            yield from _question(question)


def _question(question: Fields) -> Iterator[Answer]:
    """The answers to a question: a matrix has one for each row, and any may have words beside the choice."""
    number, kind = walk.identifier(question, "id"), walk.string(question, "family")
    heading = _words(question)
    rows = {walk.identifier(answer, "row_id") for answer in walk.objects(question, "answers")}
    for answer in walk.objects(question, "answers"):
        row, other = walk.identifier(answer, "row_id"), walk.identifier(answer, "other_id")
        text, choice = walk.string(answer, "text"), walk.identifier(answer, "choice_id")
        here = ids.compose(number, row) if row and len(rows) > 1 else number
        names = (f"{number}.{row}", number)
        if not number or kind in _NAMES:
            continue
        if choice:
            weight = walk.number(answer, "choice_metadata", "weight")
            yield _choice(here, names, heading, choice, walk.string(answer, "simple_text"), weight)
        elif text and (not row or kind == "open_ended"):  # else it is a date, or who somebody is
            yield Answer(ids.compose(here, other) if other else here, names, heading, text=text)


def _choice(number: str, names: tuple[str, ...], heading: str, choice: str, label: str, weight: float | None) -> Answer:
    """A choice with its weight. Those of an NPS weigh -100, 0 and 100; of others the connection knows the scale."""
    said = re.findall(r"\d+", label)
    points = int(said[-1]) if said and len(said[-1]) < 3 else None
    if weight in _NPS_WEIGHTS and (not label or points in _NPS_GROUPS[weight]):
        score = _NPS_WEIGHTS[weight] if points is None else float(points)
        return Answer(
            number, names, heading, score, (0.0, 10.0), "nps", choices=(choice, label) if label else (choice,)
        )
    return Answer(number, names, heading, score=weight, choices=(choice,), label=label)


def _words(question: Fields) -> str:
    """What a question asks: with `simple`, in `heading`; it may have mark-up."""
    said = walk.string(question, "heading") or walk.string(question, "headings") or ""
    return " ".join(_TAGS.sub(" ", said).split())


def _customer(response: Fields, variables: Fields, options: Mapping[str, Any], number: str) -> Fields:
    contact = walk.fields(response, "metadata", "contact")
    email = walk.string(response, "email_address") or walk.string(contact, "email", "value")
    first = walk.string(response, "first_name") or walk.string(contact, "first_name", "value")
    last = walk.string(response, "last_name") or walk.string(contact, "last_name", "value")
    name = " ".join(filter(None, (first, last)))
    fields = {**variables, "custom_value": response.get("custom_value")}
    return surveys.customer(fields, options, handles=[email] if email else [], name=name, otherwise=number)

"""Delighted: scores and comments of its surveys, and what was answered beside them.

https://app.delighted.com/docs/api/webhooks
https://help.delighted.com/article/530-survey-types-overview
https://github.com/delighted/delighted-ios (the types of surveys and their scales)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voz_ingest.adapters.inbound.formats import drafts, ids, people, signatures, surveys, times, walk
from voz_ingest.adapters.inbound.formats.surveys import Answer
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

_TYPES: dict[str, tuple[str, float, float]] = {
    "nps": ("nps", 0, 10),
    "enps": ("nps", 0, 10),
    "csat": ("csat", 1, 5),
    "csat3": ("csat", 1, 3),
    "ces": ("ces", 1, 5),
    "ces7": ("ces", 1, 7),
    "stars_five": ("", 1, 5),
    "stars": ("", 1, 5),
    "smileys": ("", 1, 5),
    "thumbs": ("", 0, 1),
    "pmf": ("", 1, 3),
}
"""The metric of a survey and its scale; all of them agree, so that high is good (`… made it easy`)."""
_EMPLOYEES = "enps"
_CREATED, _UPDATED = "survey_response.created", "survey_response.updated"
_MOST_OF_CES7 = 7.0


def check(options: Mapping[str, Any]) -> None:
    """Raises ValueError for a `survey` that isn't declared as a question is, and useless `questions`."""
    surveys.check(options)
    surveys.check({"questions": {"survey": options.get("survey", {})}})


def parse(payload: Payload) -> list[Draft]:
    """The score with its comment, and the additional answers. What an update says is a new version of them; people who
    unsubscribe are no events."""
    document = decode_object(payload)
    kind, response = walk.string(document, "event_type"), walk.fields(document, "event_data")
    if kind not in (_CREATED, _UPDATED) or not walk.identifier(response, "id") or "score" not in response:
        return []
    found = [*_events(response, payload.options, kind)]
    if kind == _UPDATED:
        version = walk.identifier(response, "updated_at") or walk.identifier(document, "event_id") or "1"
        found = [drafts.edit(event, version) for event in found]
    return drafts.once(found)


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether `X-Delighted-Webhook-Signature` is that of the bytes received, by a project's API key.

    Without it, whether the connection's secret stands in the URL.
    """
    given = payload.headers.get("x-delighted-webhook-signature", "").strip()
    if not given:
        return signatures.secret_in_url(payload, secrets)
    return signatures.matches([given], ["sha256=" + signatures.hex_hmac(secret, payload.body) for secret in secrets])


def _events(response: Fields, options: Mapping[str, Any], event_type: str) -> Iterator[Fields]:
    number = ids.compose(walk.identifier(response, "id"))
    kind = walk.string(response, "survey_type") or "nps"  # before there were others, none was named
    properties = walk.fields(response, "person_properties")
    moments = [times.seconds(response.get(name)) for name in ("created_at", "updated_at")]
    moments = moments[::-1] if event_type == _UPDATED else moments
    answers = [*_additional(response)]
    common = walk.some(
        source="delighted",
        channel="survey",
        audience="employee" if kind == _EMPLOYEES else None,
        customer=_customer(response, number),
        conversation={"id": number},
        language=next(filter(None, (walk.language(properties, name) for name in ("locale", "Locale"))), ""),
        occurred_at=next(filter(None, moments), None),
        attributes={
            **surveys.facts(properties),
            **surveys.chosen(answers, options),
            **drafts.attributes(
                survey_type=kind,
                url=walk.string(response, "permalink"),
                tags=", ".join(walk.strings(response, "tags")),
            ),
        },
    )
    main = surveys.events([_main(response, kind)], {**common, "id": number}, _as_question(options))
    yield from ({**event, "id": number} for event in main)
    yield from surveys.events(answers, {**common, "id": number}, options, comments=False)


def _main(response: Fields, kind: str) -> Answer:
    """The score. Of the two scales that a CES may have, only one goes beyond 5."""
    metric, low, high = _TYPES.get(kind, ("", 0, 0))
    score = walk.number(response, "score")
    if kind == "ces" and score is not None and high < score <= _MOST_OF_CES7:
        high = _MOST_OF_CES7
    scale = (float(low), float(high)) if high else None
    return Answer("survey", ("survey",), score=score, scale=scale, metric=metric, text=walk.string(response, "comment"))


def _as_question(options: Mapping[str, Any]) -> Fields:
    """The option `survey` declares the survey itself, as `questions` do others."""
    return {"questions": {"survey": options["survey"]}} if "survey" in options else {}


def _additional(response: Fields) -> Iterator[Answer]:
    for answer in walk.objects(response, "additional_answers"):
        question, value = walk.fields(answer, "question"), walk.fields(answer, "value")
        number = walk.identifier(question, "id") or walk.identifier(answer, "id")
        chosen = [walk.fields(value, "select_one"), *walk.objects(value, "select_many")]
        labels = [walk.string(each, "text") for each in chosen if walk.string(each, "text")]
        scale = walk.number(value, "scale")
        yield Answer(
            number,
            (number,),
            walk.string(question, "text"),
            text=walk.string(value, "free_response"),
            choices=tuple(filter(None, (*(walk.identifier(each, "id") for each in chosen), *labels))),
            label=", ".join(labels) if scale is None else f"{scale:g}",
        )


def _customer(response: Fields, number: str) -> Fields:
    """Delighted's person; in lists of responses only by id."""
    person = walk.fields(response, "person")
    known = walk.identifier(person, "id") or walk.identifier(response, "person")
    handles = [walk.string(person, name) for name in ("email", "phone_number")]
    handle = next(filter(None, handles), "")
    return walk.some(
        id=ids.compose(known),
        handle=ids.compose(handle or ("" if known else number)),
        name=people.full_name(walk.string(person, "name")),
    )

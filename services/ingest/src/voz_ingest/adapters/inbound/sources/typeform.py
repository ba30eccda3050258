"""Typeform: the answers to a form, by webhook or as its Responses API gives them.

https://www.typeform.com/developers/webhooks/example-payload/
https://www.typeform.com/developers/webhooks/secure-your-webhooks/
https://www.typeform.com/developers/responses/JSON-response-explanation/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voz_ingest.adapters.inbound.formats import drafts, ids, signatures, surveys, times, walk
from voz_ingest.adapters.inbound.formats.surveys import Answer
from voz_ingest.adapters.inbound.formats.walk import Fields
from voz_ingest.adapters.inbound.sources import Payload, decode_object
from voz_ingest.domain.draft import Draft

CUSTOMER_IDS = "company"  # the only ids of people are the company's own, in hidden fields

check = surveys.check

_TEXTS = frozenset({"long_text", "short_text", "text", "textarea", ""})
_NAMES = ("first_name", "last_name")


def parse(payload: Payload) -> list[Draft]:
    """The scores and texts of finished responses; what was left half-way is none."""
    document = decode_object(payload)
    found: list[Fields] = []
    for response in _responses(document):
        found += _events(response, payload)
    return drafts.once(found)


def verify(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether `Typeform-Signature` is that of the bytes received, by one of the secrets."""
    expected = ["sha256=" + signatures.base64_hmac(secret, payload.body) for secret in secrets]
    return signatures.matches([payload.headers.get("typeform-signature", "").strip()], expected)


def _responses(document: Fields) -> Iterator[Fields]:
    if "form_response" in document:
        if walk.string(document, "event_type") in ("form_response", ""):
            yield walk.fields(document, "form_response")
        return
    for response in walk.objects(document, "items"):
        if walk.string(response, "response_type") in ("completed", ""):
            yield response


def _events(response: Fields, payload: Payload) -> list[Fields]:
    token = walk.identifier(response, "token") or walk.identifier(response, "response_id")
    if not token:
        return []
    hidden = walk.fields(response, "hidden")
    fields = dict(_fields(walk.fields(response, "definition")))
    given = [*walk.objects(response, "answers")]
    answers = [_answer(answer, fields) for answer in given]
    language = next(filter(None, (walk.language(hidden, name) for name in ("language", "lang", "locale"))), "")
    common = walk.some(
        id=ids.compose(token),
        source="typeform",
        channel="survey",
        customer=_customer(given, fields, hidden, payload, token),
        conversation={"id": ids.compose(token)},
        language=language,
        occurred_at=times.iso(response.get("submitted_at")),
        attributes={
            **surveys.facts(
                {**hidden, **_variables(response)}, without=[str(payload.options.get("customer_field", ""))]
            ),
            **surveys.chosen(answers, payload.options),
            **drafts.attributes(
                survey_id=walk.identifier(response, "form_id") or walk.identifier(response, "definition", "id"),
                survey_title=walk.string(response, "definition", "title"),
            ),
        },
    )
    return surveys.events(answers, common, payload.options)


def _fields(form: Fields, group: str = "") -> Iterator[tuple[str, Fields]]:
    """The questions by id and by reference, those of groups too; `group` is the type of the group they are in."""
    for field in [*walk.objects(form, "fields"), *walk.objects(form, "properties", "fields")]:
        known = {**field, "group": group}
        for name in ("id", "ref"):
            if walk.identifier(field, name):
                yield walk.identifier(field, name), known
        yield from _fields(field, walk.string(field, "type"))


def _field(answer: Fields, fields: dict[str, Fields]) -> Fields:
    """An answer's question: what the answer says of it, and what the form says."""
    said = walk.fields(answer, "field")
    known = fields.get(walk.identifier(said, "id")) or fields.get(walk.identifier(said, "ref")) or {}
    return {**known, **{name: value for name, value in said.items() if value}}


def _answer(answer: Fields, fields: dict[str, Fields]) -> Answer:
    field = _field(answer, fields)
    kind, number = walk.string(field, "type"), walk.identifier(field, "id") or walk.identifier(field, "ref")
    names = tuple(filter(None, (walk.identifier(field, "ref"), walk.identifier(field, "id"))))
    question = " ".join(walk.string(field, "title").split())
    if not number or _is_name(field):
        return Answer(number)
    if kind in ("nps", "opinion_scale", "rating"):
        score, scale = walk.number(answer, "number"), _scale(kind, walk.fields(field, "properties"))
        return Answer(number, names, question, score=score, scale=scale, metric="nps" if kind == "nps" else "")
    if walk.string(answer, "type") == "text" and kind in _TEXTS:
        return Answer(number, names, question, text=walk.string(answer, "text"))
    choices, label = _chosen(answer)
    return Answer(number, names, question, choices=choices, label=label)


def _scale(kind: str, properties: Fields) -> tuple[float, float] | None:
    """The ends of a scale, if the form says how many steps it has; an NPS always has eleven, a rating begins at 1."""
    if kind == "nps":
        return 0.0, 10.0
    steps = walk.count(properties, "steps")
    first = 1 if kind == "rating" or walk.flag(properties, "start_at_one") else 0
    return (float(first), float(first + steps - 1)) if steps > 1 else None


def _chosen(answer: Fields) -> tuple[tuple[str, ...], str]:
    """What was chosen, by ids and labels, and in words; also a number, a date, yes or no."""
    choice, choices = walk.fields(answer, "choice"), walk.fields(answer, "choices")
    label = walk.string(choice, "label") or walk.string(choice, "other")
    labels = [*([label] if label else []), *walk.strings(choices, "labels")]
    labels += [walk.string(choices, "other")] if walk.string(choices, "other") else []
    names = [walk.identifier(choice, "id"), walk.identifier(choice, "ref"), *walk.strings(choices, "ids")]
    plain = [walk.identifier(answer, "number"), walk.string(answer, "text"), walk.string(answer, "date")]
    plain.append(str(answer["boolean"]).lower() if isinstance(answer.get("boolean"), bool) else "")
    number = walk.number(answer, "number")
    plain.append("" if number is None else f"{number:g}")
    return tuple(filter(None, (*names, *labels))), ", ".join(labels) or next(filter(None, plain), "")


def _is_name(field: Fields) -> bool:
    """Whether a question of the group `contact_info` asks for who somebody is."""
    return walk.string(field, "group") == "contact_info"


def _customer(
    answers: Sequence[Fields], fields: dict[str, Fields], hidden: Fields, payload: Payload, token: str
) -> Fields:
    emails = [walk.string(answer, "email") for answer in answers]
    phones = [walk.string(answer, "phone_number") for answer in answers]
    names = {
        walk.string(field, "subfield_key"): walk.string(answer, "text") for answer, field in _contacts(answers, fields)
    }
    full = " ".join(filter(None, (names.get(name, "") for name in _NAMES)))
    handles = [*filter(None, emails), *filter(None, phones)]
    return surveys.customer(hidden, payload.options, handles=handles, name=full, otherwise=token)


def _contacts(answers: Sequence[Fields], fields: dict[str, Fields]) -> Iterator[tuple[Fields, Fields]]:
    for answer in answers:
        field = _field(answer, fields)
        if _is_name(field):
            yield answer, field


def _variables(response: Fields) -> Fields:
    """What the form has computed."""
    found = {}
    for variable in walk.objects(response, "variables"):
        name, kind = walk.string(variable, "key"), walk.string(variable, "type")
        if name and kind in ("number", "text", "outcome_id"):
            found[name] = variable.get(kind)
    return found

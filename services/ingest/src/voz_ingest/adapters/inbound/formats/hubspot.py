"""Documents of HubSpot's API, which its webhooks announce: messages, tickets, contacts and answers to surveys.

https://developers.hubspot.com/docs/api-reference/conversations-conversations-inbox-&-messages-v3/guide
https://developers.hubspot.com/docs/api-reference/crm-tickets-v3/guide
https://developers.hubspot.com/docs/api-reference/crm-feedback-submissions-v3/guide
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from voz_ingest.adapters.inbound.formats import ids, people, reply, surveys, tickets, times, walk
from voz_ingest.adapters.inbound.formats.drafts import attributes
from voz_ingest.adapters.inbound.formats.surveys import Answer
from voz_ingest.adapters.inbound.formats.walk import Fields, some

STAGES = {"1": "new", "2": "pending", "3": "open", "4": "closed"}
"""Of the support pipeline that every account begins with: new, waiting on contact, waiting on us, closed."""
EMAILS = frozenset({"email", "work_email"})
PHONES = frozenset({"phone", "mobilephone", "hs_whatsapp_phone_number"})
TICKET = (
    *("subject", "content", "source_type", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority"),
    *("hubspot_owner_id", "createdate", "hs_lastmodifieddate"),
)
CONTACT = (
    *("email", "phone", "mobilephone", "firstname", "lastname", "company", "city", "country", "lifecyclestage"),
    *("createdate", "lastmodifieddate"),
)
FEEDBACK = (
    *("hs_survey_type", "hs_value", "hs_content", "hs_sentiment", "hs_submission_timestamp", "hs_survey_id"),
    *("hs_survey_name", "hs_survey_channel", "hs_response_group", "hs_contact_id", "hs_contact_email_rollup"),
    *("hs_contact_firstname", "hs_contact_lastname", "hs_ticket_id"),
)
"""What is asked for of each."""

_EMAIL_CHANNEL = "1002"
_VISITOR, _ADDRESS = "V-", "E-"
_SCALES = {"nps": (0.0, 10.0), "csat": (0.0, 2.0), "ces": (1.0, 7.0)}
"""A CSAT answer is a face: unhappy, neutral, happy. Agreement with `made it easy` is the CES, from 1 to 7."""
_IN_THE_INBOX = frozenset({"EMAIL", "CHAT"})
"""Tickets whose description is the first message of a conversation."""


def events(document: Fields, own: frozenset[str], options: Mapping[str, Any]) -> Iterator[Fields]:
    """What a document tells; which it is, its fields say."""
    values = walk.fields(document, "properties")
    message = walk.fields(document, "message") or document
    if message.keys() & {"conversationsThreadId", "senders"}:
        yield from _message(message, own)
    elif values.keys() & {"hs_survey_type", "hs_survey_id", "hs_value"}:
        yield from _feedback(document, values, options)
    elif values.keys() & {"hs_pipeline_stage", "hs_ticket_priority"}:
        yield from _ticket(document, values, options)
    elif values.keys() & {"email", "firstname", "lastname"}:
        yield from _contact(document, values)


def status(stage: str, options: Mapping[str, Any]) -> str:
    """Where a ticket stands, by its stage; one that is a number, and that nobody has declared, is open."""
    declared = {str(name): str(said) for name, said in walk.fields(options.get("stages")).items()}
    return declared.get(stage) or STAGES.get(stage) or tickets.status(stage)


def moment(value: Any) -> str | None:
    """A time, in ISO 8601 or in milliseconds."""
    return times.iso(value) or times.milliseconds(value)


def identities(name: str, value: str) -> Fields:
    """A property of a contact, and as a link if the same person is known elsewhere by it."""
    link = "id.email" if name in EMAILS else "id.phone" if name in PHONES else ""
    return {name[:64]: value[:1000], **({link: value[:255]} if link and value else {})}


def _message(message: Fields, own: frozenset[str]) -> Iterator[Fields]:
    """A message; comments, assignments, changes of status and welcomes are none."""
    is_mail = walk.identifier(message, "channelId") == _EMAIL_CHANNEL
    text = walk.string(message, "text")
    text = reply.cut(text).text if is_mail else text
    text = text or tickets.words(walk.string(message, "richText"))
    if walk.string(message, "type").upper() not in ("MESSAGE", "") or not text:
        return
    senders, recipients = [*walk.objects(message, "senders")], [*walk.objects(message, "recipients")]
    senders += [walk.fields(message, "sender")] if "sender" in message else []
    writer = senders[0] if senders else {}
    outbound = _is_company(message, writer, own)
    others = [person for person in recipients if not _is_staff(person) and not _is_own(person, own)]
    customer = _person(next(iter(others), {})) if outbound else _person(writer)
    thread = walk.identifier(message, "conversationsThreadId")
    yield some(
        source="hubspot",
        id=ids.compose("message", walk.identifier(message, "id")),
        channel="email" if is_mail else "chat",
        direction="outbound" if outbound else None,
        customer=customer or people.NOBODY,
        conversation=some(
            id=ids.compose(thread), reply_to=ids.compose("message", walk.identifier(message, "inReplyToId"))
        ),
        text=text,
        occurred_at=moment(message.get("createdAt")),
        attributes=attributes(
            subject=walk.string(message, "subject"),
            channel_id=walk.identifier(message, "channelId"),
            author=people.full_name(walk.string(writer, "name")) if outbound else None,
        ),
    )


def _is_company(message: Fields, writer: Fields, own: frozenset[str]) -> bool:
    if _is_own(writer, own):
        return True
    direction = walk.string(message, "direction").upper()
    return direction == "OUTGOING" if direction else _is_staff(writer)


def _is_own(person: Fields, own: frozenset[str]) -> bool:
    return people.is_own(own, walk.string(person, "actorId"), _address(person))


def _is_staff(person: Fields) -> bool:
    """Whether it is an agent, a bot, an integration or HubSpot itself."""
    actor = walk.string(person, "actorId")
    return bool(actor) and not actor.startswith((_VISITOR, _ADDRESS))


def _address(person: Fields) -> str:
    found = walk.fields(person, "deliveryIdentifier") or next(walk.objects(person, "deliveryIdentifiers"), {})
    actor = walk.string(person, "actorId")
    value = actor.removeprefix(_ADDRESS) if actor.startswith(_ADDRESS) else walk.string(found, "value")
    return "" if walk.string(found, "type") == "CHANNEL_SPECIFIC_OPAQUE_ID" else value


def _person(person: Fields) -> Fields:
    """A visitor, whose number is the contact's, or somebody of whom only the address is known."""
    actor = walk.string(person, "actorId")
    number = actor.removeprefix(_VISITOR) if actor.startswith(_VISITOR) else ""
    opaque = walk.string(person, "deliveryIdentifier", "value")
    handle = _address(person) or ("" if number else opaque)
    known = some(id=ids.compose(number), handle=handle[:255])
    return {**known, **some(name=people.full_name(walk.string(person, "name")))} if known else {}


def _feedback(document: Fields, values: Fields, options: Mapping[str, Any]) -> Iterator[Fields]:
    """An answer to a survey: its metric is the survey's type, unless its number isn't on the scale of that."""
    number = walk.identifier(document, "id") or walk.identifier(values, "hs_object_id")
    kind, score = walk.string(values, "hs_survey_type").lower(), walk.number(values, "hs_value")
    scale = _SCALES.get(kind)
    fits = scale is not None and score is not None and scale[0] <= score <= scale[1]
    survey = walk.identifier(values, "hs_survey_id")
    name, ticket = walk.string(values, "hs_survey_name"), walk.identifier(values, "hs_ticket_id")
    answer = Answer(
        "answer",
        (survey, kind),
        score=score if kind in _SCALES else None,
        scale=scale if fits else None,
        metric=kind if fits else "",
        text=walk.string(values, "hs_content"),
        label=walk.identifier(values, "hs_value"),
    )
    names = (walk.string(values, "hs_contact_firstname"), walk.string(values, "hs_contact_lastname"))
    person = some(
        id=ids.compose(walk.identifier(values, "hs_contact_id") or _associated(document)),
        handle=walk.string(values, "hs_contact_email_rollup")[:255],
    )
    response = some(
        source="hubspot",
        id=ids.compose("feedback", number),
        channel="survey",
        customer={**(person or {"handle": f"feedback:{number}"[:255]}), **some(name=people.full_name(*names))},
        conversation=some(id=ids.compose("ticket", ticket) or ids.compose("feedback", number)),
        occurred_at=moment(values.get("hs_submission_timestamp")) or moment(document.get("createdAt")),
        attributes=attributes(
            survey_id=survey,
            survey_name=name,
            survey_channel=walk.string(values, "hs_survey_channel").lower(),
            sentiment=walk.string(values, "hs_sentiment").lower(),
            response_group=walk.string(values, "hs_response_group").lower(),
        ),
    )
    if "id" in response:
        yield from surveys.events([answer], response, options)


def _ticket(document: Fields, values: Fields, options: Mapping[str, Any]) -> Iterator[Fields]:
    """What a ticket says, and where it stands."""
    number = walk.identifier(document, "id") or walk.identifier(values, "hs_object_id")
    about = ticket_about(number, _associated(document), walk.string(values, "subject"))
    origin, text = walk.string(values, "source_type").upper(), walk.string(values, "content")
    if text and origin not in _IN_THE_INBOX:
        created = moment(values.get("createdate")) or moment(document.get("createdAt"))
        more = {**about["attributes"], **attributes(via=origin.lower())}
        name = ids.compose("ticket", number, "description")
        yield {**about, "id": name, "text": text, **some(occurred_at=created, attributes=more)}
    stage = walk.identifier(values, "hs_pipeline_stage")
    if stage:
        changed = moment(values.get("hs_lastmodifieddate")) or moment(document.get("updatedAt"))
        event = tickets.event(
            about,
            number,
            status(stage, options),
            changed or "",
            priority=walk.string(values, "hs_ticket_priority").lower(),
            assignee=walk.identifier(values, "hubspot_owner_id"),
        )
        yield {**event, **some(occurred_at=changed)}


def ticket_about(number: str, contact: str = "", subject: str = "") -> Fields:
    """What the events of a ticket have in common. A webhook doesn't say whose it is."""
    name = ids.compose("ticket", number)
    return {
        "source": "hubspot",
        "channel": "ticket",
        "customer": {"id": ids.compose(contact)} if contact else {"handle": name or "unknown"},
        "conversation": {"id": name},
        "attributes": attributes(subject=subject),
    }


def _contact(document: Fields, values: Fields) -> Iterator[Fields]:
    number = walk.identifier(document, "id") or walk.identifier(values, "hs_object_id")
    changed = moment(values.get("lastmodifieddate")) or moment(document.get("updatedAt"))
    said = {name: walk.identifier(values, name) for name in CONTACT if not name.endswith("date")}
    profile: Fields = {}
    for name, value in said.items():
        profile = {**identities(name, value), **profile} if value else profile
    if profile:
        yield some(
            source="hubspot",
            id=ids.compose("contact", number, changed or ids.digest(*said.values())),
            channel="crm",
            customer=some(
                id=ids.compose(number),
                handle=said["email"][:255],
                name=people.full_name(said["firstname"], said["lastname"]),
            ),
            profile=profile,
            occurred_at=changed,
        )


def _associated(document: Fields) -> str:
    """The contact that a ticket or an answer belongs to."""
    found = next(walk.objects(document, "associations", "contacts", "results"), {})
    return walk.identifier(found, "id") or walk.identifier(found, "toObjectId")

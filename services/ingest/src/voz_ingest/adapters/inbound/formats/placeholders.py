"""Webhooks whose body an administrator wrote with placeholders: Zendesk's triggers, Freshdesk's automations.

Names are as everybody likes them (`ticket_id`, `ticketId`, `{"ticket": {"id"}}`), so they are compared without case,
separators, nesting and what stands for the ticket itself. There is no id of a comment and seldom a time: the ticket and
the words name a message. The description and the latest comment come again with every update, under the same ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from functools import cached_property
from typing import Any, NamedTuple

from voz_ingest.adapters.inbound.formats import ids, people, reply, speakers, tickets, times, walk
from voz_ingest.adapters.inbound.formats.drafts import attributes
from voz_ingest.adapters.inbound.formats.walk import Fields

STATUSES = {"2": "open", "3": "pending", "4": "resolved", "5": "closed", "6": "waiting", "7": "waiting"}
PRIORITIES = {"1": "low", "2": "medium", "3": "high", "4": "urgent"}
"""Freshdesk's numbers; the statuses 6 and 7 are `Waiting on Customer` and `Waiting on Third Party`."""

_MAX_DEPTH, _MAX_NAME_CHARS = 5, 100
_NOT_NAME = re.compile(r"[^a-z0-9]")
_UNRENDERED = re.compile(r"\s*(\{\{.*\}\}|-+|n/a|null|none|undefined)\s*", re.DOTALL | re.IGNORECASE)
_TICKET_ITSELF = ("ticket", "", "zdticket", "zendeskticket", "zd", "zendesk")
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
_RULE = re.compile(r"^-{10,}\s*$", re.MULTILINE)
_HEADER = re.compile(r"(?P<author>[^\n]{1,100}?), [^\n]*\d[^\n]*\n+")  # Ana López, 20 nov 2026, 10:00
_PREFIX = re.compile(r"(?P<author>[^:<>\n]{1,100}?) : ")  # Ana López : <div>…
_FULL_NAME = re.compile(r"[A-ZÀ-Þ][\w'’-]*( [\w'’-]+)? [A-ZÀ-Þ][\w'’-]*")
_CREATED = re.compile(r"creat|new|open|nuev|nov[ao]|neu|nouv|nuov|crea|erstell", re.IGNORECASE)
_CHANGE = re.compile(r"status\W+from\W*(\w+)")  # {status:{from:4,to:6}}
_PUBLIC = (
    *("latestpubliccommenthtml", "latestpubliccommentrich", "latestpubliccomment", "latestpubliccommentformatted"),
    *("publiccomment", "notecomment", "replybodytext", "replybody", "commentbody", "commentvalue", "commenttext"),
    *("comment", "agentreply", "reply"),
)
_LATEST = ("latestcommenthtml", "latestcommentrich", "latestcommentbody", "latestcomment", "latestcommentformatted")
_AUTHORS = (
    *("latestpubliccommentauthor", "latestcommentauthor", "commentauthor", "notecommenter", "commenter", "author"),
    *("currentuser", "actor", "updater"),
)
_ROLES = ("commentauthorrole", "authorrole", "currentuserrole", "role")


class Message(NamedTuple):
    """A comment or a description, and its author where the text itself names them."""

    text: str
    author: str = ""


class Written:
    """The values of a body with placeholders, by name."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._values: dict[str, str] = {}
        self._read(document, "", 0)

    def get(self, *names: str) -> str:
        """The first value that is there, of names in lower case without separators; empty when none is."""
        for name in names:
            for prefix in _TICKET_ITSELF:
                if found := self._values.get(prefix + name):
                    return found
        return ""

    def _read(self, values: Mapping[str, Any], path: str, depth: int) -> None:
        for key, value in values.items():
            name = path + _NOT_NAME.sub("", key[:_MAX_NAME_CHARS].lower())
            if isinstance(value, dict):
                if depth < _MAX_DEPTH:
                    self._read(value, name, depth + 1)
                continue
            if isinstance(value, list):
                value = ", ".join(item for item in value if isinstance(item, str))
            said = str(value).lower() if isinstance(value, bool) else walk.identifier(value)
            if said and not _UNRENDERED.fullmatch(said):
                self._values.setdefault(name, said)


def events(
    own: frozenset[str], document: Mapping[str, Any], source: str, survey: Callable[[Written], Fields], **more: Any
) -> Iterator[Fields]:
    """What a body tells of its ticket: what is new in words, where it stands, how it was rated. `survey`: the rating in
    it, empty where there is none. `more`: attributes."""
    said = Written(document)
    told = _Told(said, own, source, said.get("id", "number").lstrip("#"), more)
    if not told.number or told.is_private_note:
        return
    yield from told.messages()
    yield from told.status()
    rated = survey(said)
    if rated:
        version = ids.digest(str(rated["score"]), rated.get("comment", ""))[:16]
        yield {**told.about, "id": ids.compose("ticket", told.number, "rating", version), "survey": rated}


def description_id(number: str) -> str:
    """The id of the message that a ticket begins with."""
    return ids.compose("ticket", number, "description")


def bare(text: str) -> str:
    """A text as it is compared: what differs in white space and case only is the same."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True)
class _Told:
    """One body."""

    said: Written
    own: frozenset[str]
    source: str
    number: str
    more: Mapping[str, Any]

    @cached_property
    def about(self) -> Fields:
        said = self.said
        return walk.some(
            source=self.source,
            channel="ticket",
            customer=self.requester,
            conversation=walk.some(id=ids.compose(self.number)),
            attributes=attributes(
                subject=said.get("title", "subject"),
                via=said.get("via", "viachannel", "source", "channel"),
                ticket_type=said.get("tickettype", "type"),
                url=said.get("link", "url"),
                tags=said.get("tags"),
                **self.more,
            ),
        )

    @cached_property
    def requester(self) -> Fields:
        said = self.said
        name, address = parseaddr(said.get("requester", "contact", "customer"))
        number = ids.compose(said.get("requesterid", "contactid", "customerid"))
        handle = said.get("requesteremail", "contactemail", "customeremail", "email") or (
            address if "@" in address else ""
        )
        handle = handle or said.get("requesterphone", "contactphone", "requestermobile", "contactmobile", "phone")
        if not handle:
            number = number or ids.compose(said.get("contactuniqueexternalid", "requesteruniqueexternalid"))
        parts = (said.get("requesterfirstname", "contactfirstname"), said.get("requesterlastname", "contactlastname"))
        full = said.get("requestername", "requesterfullname", "contactname", "customername", "name")
        full = full or name or people.full_name(*parts)
        person = walk.some(id=number, handle=handle[:255], name=people.full_name(full))
        return person if number or handle else {**person, **people.NOBODY}

    @cached_property
    def happened(self) -> str:
        return self.said.get("triggeredevent", "event", "eventtype", "trigger")

    @property
    def is_private_note(self) -> bool:
        return "note_type:private" in self.happened.replace(" ", "")

    @cached_property
    def comment(self) -> Message:
        """The latest comment, if it is public; the latest of all may be a note, so it must be clear that it is not."""
        said = self.said
        public = said.get("latestcommentispublic", "commentispublic", "commentpublic", "ispublic", "public")
        if public == "false" or said.get("noteprivate", "commentprivate", "private") == "true":
            return Message("")
        found = self._message(said.get(*_PUBLIC))
        if found.text:
            return found
        latest = self._message(said.get(*_LATEST))
        return latest if public == "true" or self._is_requester(latest.author) else Message("")

    def messages(self) -> Iterator[Fields]:
        """The comment; where there is none beside it the description, unless the body tells of something else."""
        comment, first = self.comment, self._message(self.said.get("verbatimdescription", "description", "desc"))
        if comment.text and bare(comment.text) != bare(first.text):
            name = ids.compose("comment", self.said.get("commentid", "latestcommentid", "noteid"))
            name = name or ids.compose("ticket", self.number, "comment", ids.digest(comment.text))
            moment = self._time("latestpubliccommentcreatedat", "latestcommentcreatedat", "commentcreatedat")
            yield self._event(name, comment.text, moment or self.updated_at, outbound=self._is_company(comment.author))
        elif first.text and (not self.happened or _CREATED.search(self.happened)):
            created = self.said.get("createdatwithtimestamp", "createdat", "created")
            author = first.author or self.said.get("submittername")
            known = "name" in self.requester and bool(author)
            outbound = people.is_own(self.own, author) or (known and not self._is_requester(author))
            yield self._event(description_id(self.number), first.text, times.iso(created), outbound=outbound)

    def status(self) -> Iterator[Fields]:
        """Where the ticket stands. Without a time its changes are told apart by what changes with them."""
        said = self.said
        now = tickets.status(STATUSES.get(said.get("status"), said.get("status")))
        if not now:
            return
        before = _CHANGE.search(self.happened)
        if before:
            now = tickets.changed(tickets.status(STATUSES.get(before[1], before[1])), now)
        priority = PRIORITIES.get(said.get("priority"), said.get("priority").lower())
        assignee = said.get(
            "assigneename", "assigneefullname", "assigneeemail", "assignee", "assignedto", "agentname", "agentemail"
        )
        change = self.happened if before else ""
        version = self.updated_at or ids.digest(change, priority, assignee, self.comment.text)[:16]
        event = tickets.event(self.about, self.number, now, version, priority=priority, assignee=assignee)
        yield {**event, **walk.some(occurred_at=self.updated_at)}

    @cached_property
    def updated_at(self) -> str | None:
        return self._time("updatedatwithtimestamp", "updatedat", "updated")

    def _time(self, *names: str) -> str | None:
        moment = self.said.get(*names)
        return times.iso(moment) if ":" in moment else None  # a day alone says nothing

    def _event(self, name: str, text: str, moment: str | None, *, outbound: bool) -> Fields:
        return {
            **self.about,
            "id": name,
            "text": text,
            **walk.some(direction="outbound" if outbound else None, occurred_at=moment),
        }

    def _is_company(self, author: str) -> bool:
        """Whether an agent wrote the comment: the text's own author says so, else their role, else their name."""
        said = self.said
        names = [author, *(said.get(each, f"{each}name") for each in _AUTHORS)]
        addresses = [said.get(f"{each}email") for each in _AUTHORS]
        if people.is_own(self.own, *names, *addresses):
            return True
        if author and "name" in self.requester:
            return not self._is_requester(author)
        role = speakers.side(said.get(*_ROLES))
        if role or said.get("agentreply"):
            return role != "customer"
        writer, requester = said.get(*(f"{each}id" for each in _AUTHORS)), self.requester.get("id")
        if writer and requester:
            return bool(ids.compose(writer) != requester)
        return any((*names, *addresses)) and not self._is_requester("")

    def _is_requester(self, author: str) -> bool:
        """Whether the author, or else whoever the body says, is the requester."""
        said, person = self.said, self.requester
        if author:
            return bare(author) in (bare(person.get("name", "")), bare(person.get("handle", "")))
        email, name = (
            said.get(*(f"{each}email" for each in _AUTHORS)),
            said.get(*_AUTHORS, *(f"{each}name" for each in _AUTHORS)),
        )
        if email:
            return bare(email) == bare(person.get("handle", ""))
        return bool(name) and bare(name) == bare(person.get("name", ""))

    def _message(self, said: str) -> Message:
        """A text as vendors render it: under a rule and the line of its author, or with the author's name before it."""
        said, author = said.strip(), ""
        if _RULE.match(said):
            said = next((part.strip() for part in _RULE.split(said) if part.strip()), "")
            header = _HEADER.match(said)
            if header:
                author, said = header["author"].strip(), said[header.end() :]
        elif (prefix := _PREFIX.match(said)) and (_TAG.match(said, prefix.end()) or self._is_name(prefix["author"])):
            author, said = prefix["author"].strip(), said[prefix.end() :]
        return Message(tickets.words(said) if _TAG.search(said) else reply.cut(said).text, author)

    def _is_name(self, words: str) -> bool:
        """Whether words before a colon are somebody's name, not the beginning of a text."""
        known = (
            self.requester.get("name", ""),
            self.said.get("agentname"),
            self.said.get("assigneename", "assigneefullname"),
        )
        return bare(words) in map(bare, filter(None, known)) or _FULL_NAME.fullmatch(words) is not None

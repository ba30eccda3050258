"""The sources: one module each, which turns what the source sends into events in the plain form.

A source is a module of this package, named as the source, with a docstring and `parse`. What else it has says what the
source can do; all of it is pure. Adding a source is adding its file (and its fixtures and its page).

- `parse(payload) -> list[Draft]`: the events of a payload; none for what is no event (receipts, unknown types). Raises
  PayloadError for what can't be read at all.
- `verify(payload, secrets) -> bool`: whether the source signed it, in constant time. Without it the connection's secret
  stands in the URL, `?secret=`.
- `nonce(payload) -> str`: the value that may be used once, where a signature covers it and not the body: a payload that
  comes with one used before is refused unless it says the same.
- `challenge(payload, secrets) -> Reply`: the answer to the source's question whether the endpoint is ours (GET). Raises
  PayloadError.
- `needs(payload) -> list[str]`: URLs, on hosts that the module pins, to be in `payload.fetched` before `verify`.
- `follow(payload) -> list[str]`: URLs, on hosts that the module pins, to be asked for once the payload is verified.
- `announced(payload, secrets) -> list[Pull]`: what to ask the source for because the payload only announces it; each
  answer is a payload for `parse`.
- `pull(state) -> Pull | Mailbox` and `advance(state, payload) -> Advance`: how a connector asks the source for what is
  new, and where it stands then. Raises MissingOptionError when the connection doesn't say enough to ask.
- `authorise(state) -> Pull | None`: the request for an access token (OAuth 2.0), which then is `state.token` until it
  expires; None: it needs none.
- `begins(state) -> datetime`: what happened before that isn't wanted, though pages may show it.
- `streams(state) -> list[Pull]`: streams to listen to once `pull`, if there is one, has brought what came before. Every
  message is a payload, for `advance` too. `wanted(payload) -> bool`: whether a message concerns the company at all.
- `refused(state, status, payload) -> Advance | None`: what a refusal means: where to go on, and after how long; None:
  nothing beside its status and headers.
- `HOSTS`: hosts that may be asked, `*.` in front for all names under one. That of the option `base_url` may be, too.
- `POLL_SECONDS`: how long a connector waits before it asks again (60, unless the option `poll_seconds` says otherwise).
- `check(options)`: raises ValueError for options of a connection that the source can't use.
- `CUSTOMER_IDS`: `"source"` (default), a customer's id is the source's own; `"company"`, it is the company's, the same
  person whatever the source.
- `PHONE_IDS = True`: customers' ids are telephone numbers, so that a link of the number finds them.
- `SUCCESS`: the status that the source wants to hear, where it isn't 202.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Literal, cast

import orjson

from voz_ingest.adapters.inbound.formats.signatures import secret_in_url
from voz_ingest.domain.connector import Position
from voz_ingest.domain.draft import Draft

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PayloadError(Exception):
    """A payload that can't be read at all: where (a JSON pointer into it) and why."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or 'payload'}: {detail}")
        self.pointer, self.detail = pointer, detail


@dataclass(slots=True)  # not frozen: one is made for every webhook, and that costs twice as much
class Payload:
    """What a source sent, as bytes, and what is known beside it. Nobody changes one."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    own: frozenset[str] = frozenset()
    """Ids of the company's own accounts: what they wrote is outbound."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the connection's configuration says beside that."""
    method: str = "POST"
    url: str = ""
    """As the source called it, with the query: some schemes sign it."""
    query: Mapping[str, str] = field(default_factory=dict)
    received_at: datetime = EPOCH
    fetched: Mapping[str, bytes] = field(default_factory=dict)
    """What stood behind the URLs that `needs` named."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a source's question is answered with."""

    body: str
    media_type: str = "text/plain"


class MissingOptionError(Exception):
    """A connection doesn't say enough to be asked for anything: it only receives."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class PullState:
    """What a connector knows when it asks."""

    position: Position
    options: Mapping[str, Any]
    secrets: tuple[str, ...]
    now: datetime
    own: frozenset[str] = frozenset()
    token: str = field(default="", repr=False)
    """What `authorise` has brought."""


@dataclass(frozen=True, slots=True)
class Pull:
    """What to ask for. `http`: one request, whose answer is a payload. `sse`, `websocket`: a stream, whose every
    message is a payload; one of `sse` is `{"event": …, "payload": …, "id": …}`, all strings."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    transport: Literal["http", "sse", "websocket"] = "http"
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Mails to read, and to leave as they are. Each is a payload of type `message/rfc822`, with the headers `x-uid`,
    `x-uidvalidity` and `x-more` (`1` when the folder holds newer ones)."""

    host: str
    user: str
    password: str
    port: int = 993
    folder: str = "INBOX"
    tls: bool = True
    uidvalidity: int = 0
    """Of the position; when the folder has another one, uids are counted anew."""
    after_uid: int = 0
    since: date | None = None
    """Where no position is known: mails that arrived on that day or later."""


@dataclass(frozen=True, slots=True)
class Advance:
    """Where the connector stands once a payload's events are acknowledged.

    `again`: more is there, ask at once. `wait_seconds`: when to ask again otherwise; None: as always.
    """

    position: Position
    again: bool = False
    wait_seconds: float | None = None


Verify = Callable[[Payload, Sequence[str]], bool]


@dataclass(frozen=True, slots=True)
class Source:
    """A source that ingest understands. What it can't do is None."""

    name: str
    description: str
    parse: Callable[[Payload], list[Draft]]
    verify: Verify
    signs: bool
    """Whether the source signs; if not, `verify` looks for the connection's secret in the URL."""
    nonce: Callable[[Payload], str] | None
    challenge: Callable[[Payload, Sequence[str]], Reply] | None
    needs: Callable[[Payload], list[str]] | None
    follow: Callable[[Payload], list[str]] | None
    announced: Callable[[Payload, Sequence[str]], list[Pull]] | None
    pull: Callable[[PullState], Pull | Mailbox] | None
    advance: Callable[[PullState, Payload], Advance] | None
    authorise: Callable[[PullState], Pull | None] | None
    begins: Callable[[PullState], datetime] | None
    streams: Callable[[PullState], list[Pull]] | None
    wanted: Callable[[Payload], bool] | None
    refused: Callable[[PullState, int, Payload], Advance | None] | None
    hosts: frozenset[str]
    poll_seconds: float
    check: Callable[[Mapping[str, Any]], None] | None
    customer_ids: Literal["source", "company"]
    success: int
    phone_ids: bool

    @property
    def connects(self) -> bool:
        """Whether it can be asked: then its connections are connectors."""
        return self.pull is not None or self.streams is not None

    def drafts(self, payload: Payload) -> list[Draft]:
        """The events of a payload, with the connection's `instance` before every id: two accounts of a company at one
        source may use the same ids. Raises PayloadError."""
        drafts, instance = self.parse(payload), payload.options.get("instance")
        if instance is None:
            return drafts
        own = (("customer", "id"), ("profile", f"id.{self.name}"))
        ids = (*_IDS, *own) if self.knows_customers_itself(payload.options) else _IDS
        return [_of_instance(str(instance), draft, ids) for draft in drafts]

    def knows_customers_itself(self, options: Mapping[str, Any]) -> bool:
        """Whether a customer's id is the source's own, not the company's; a connection's `customer_ids` says so."""
        return bool(options.get("customer_ids", self.customer_ids) != "company")


_IDS: tuple[tuple[str, ...], ...] = (
    ("id",),
    ("conversation", "id"),
    ("conversation", "reply_to"),
    ("attributes", "edit_of"),
    ("attributes", "deletion_of"),
)


def names() -> list[str]:
    """The known sources."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


@cache
def load(name: str) -> Source:
    """A source by its name. Raises KeyError for one that isn't known."""
    if name not in names():
        raise KeyError(name)
    module = importlib.import_module(f"{__name__}.{name}")
    verify = getattr(module, "verify", None)
    return Source(
        name=name,
        description=(module.__doc__ or "").splitlines()[0],
        parse=module.parse,
        verify=cast(Verify, verify or secret_in_url),
        signs=verify is not None,
        nonce=getattr(module, "nonce", None),
        challenge=getattr(module, "challenge", None),
        needs=getattr(module, "needs", None),
        follow=getattr(module, "follow", None),
        announced=getattr(module, "announced", None),
        pull=getattr(module, "pull", None),
        advance=getattr(module, "advance", None),
        authorise=getattr(module, "authorise", None),
        begins=getattr(module, "begins", None),
        streams=getattr(module, "streams", None),
        wanted=getattr(module, "wanted", None),
        refused=getattr(module, "refused", None),
        hosts=frozenset(getattr(module, "HOSTS", ())),
        poll_seconds=getattr(module, "POLL_SECONDS", 60.0),
        check=getattr(module, "check", None),
        customer_ids=getattr(module, "CUSTOMER_IDS", "source"),
        success=getattr(module, "SUCCESS", 202),
        phone_ids=getattr(module, "PHONE_IDS", False),
    )


def has_phone_ids(name: str) -> bool:
    """Whether the ids of people at a source are telephone numbers; no at one that isn't known."""
    return name in _names() and load(name).phone_ids


@cache
def _names() -> frozenset[str]:
    return frozenset(names())


def _of_instance(instance: str, draft: Draft, ids: Iterable[tuple[str, ...]]) -> Draft:
    if draft.errors or not isinstance(draft.plain, dict):
        return draft
    plain = {name: dict(value) if isinstance(value, dict) else value for name, value in draft.plain.items()}
    for *inner, name in ids:
        fields = plain.get(inner[0]) if inner else plain
        if isinstance(fields, dict) and fields.get(name):
            fields[name] = f"{instance}/{fields[name]}"
    return draft._replace(plain=plain)


def decode(body: bytes | bytearray | memoryview) -> object:
    """JSON of UTF-8. Raises PayloadError for anything else, for numbers too large and for nesting too deep."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PayloadError("", f"not JSON: {error}") from None


def decode_object(payload: Payload) -> dict[str, Any]:
    """The JSON object that a payload's body is. Raises PayloadError when it is something else."""
    document = decode(payload.body)
    if not isinstance(document, dict):
        raise PayloadError("", "must be a JSON object")
    return document

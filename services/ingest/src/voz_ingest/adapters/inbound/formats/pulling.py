"""What the ways of asking sources share: options, moments, several feeds of one connection, pages newest first.

A position is `{"at": {feed: …}, "turn": n, "since": …}`: where each feed stands, which one is asked next, and, until
all feeds have been asked once, from when.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from voz_ingest.adapters.inbound.formats import times, walk
from voz_ingest.adapters.inbound.sources import Advance, MissingOptionError, PullState
from voz_ingest.domain.connector import Position

LOOK_BACK = timedelta(days=7)
"""How far a connector goes back when it first runs, unless the option `since` says otherwise."""
LOOK_EVERY = timedelta(hours=1)


def option(state: PullState, name: str) -> str:
    """An option that must be there. Raises MissingOptionError."""
    found = walk.identifier(dict(state.options), name)
    if not found:
        raise MissingOptionError(f"the option `{name}` is missing, so it isn't asked for anything")
    return found


def credential(state: PullState, name: str) -> str:
    """What authenticates: an option, else the first of the connection's secrets. Raises MissingOptionError."""
    found = walk.identifier(dict(state.options), name) or next(iter(state.secrets), "")
    if not found:
        raise MissingOptionError(f"the option `{name}` is missing, and `secrets`, so it isn't asked for anything")
    return found


def listed(state: PullState, name: str) -> list[str]:
    """An option that is a list of words, or one word."""
    said = state.options.get(name)
    one = walk.identifier(said)
    items = said if isinstance(said, list) else []
    return [one] if one else [found for each in items if (found := walk.identifier(each))]


def url(base: str, *path: str, query: Iterable[tuple[str, str]] = ()) -> str:
    """A URL under a base; no part of the path can leave its place."""
    whole = "/".join((base.rstrip("/"), *(quote(part, safe="") for part in path)))
    asked = urlencode([(name, value) for name, value in query if value])
    return f"{whole}?{asked}" if asked else whole


def moment(said: Any) -> datetime | None:
    """A moment that somebody wrote, aware."""
    found = times.iso(said)
    return datetime.fromisoformat(found) if found else None


def since(state: PullState, position: Position) -> datetime:
    """From when on everything is wanted: where a rewind has set it, else what the options say, else a week."""
    return moment(position.get("since")) or moment(str(state.options.get("since", ""))) or state.now - LOOK_BACK


def feed(state: PullState, feeds: Sequence[str]) -> tuple[str, Position]:
    """Whose turn it is, and where it stands."""
    turn = walk.count(dict(state.position), "turn")
    name = feeds[turn if turn < len(feeds) else 0]
    at = walk.fields(dict(state.position), "at", name)
    return name, at or walk.some(since=state.position.get("since"))


def moved(
    state: PullState, feeds: Sequence[str], at: Position, *, more: bool, wait_seconds: float | None = None
) -> Advance:
    """The feed whose turn it is stands there now; it is asked again at once while it has more, else the next one is."""
    name, _ = feed(state, feeds)
    turn = feeds.index(name) + (not more)
    places = {each: place for each, place in walk.fields(dict(state.position), "at").items() if each in feeds}
    places[name] = dict(at)
    left = state.position.get("since") if len(places) < len(feeds) else None
    position = walk.some(at=places, turn=turn if 0 < turn < len(feeds) else None, since=left)
    return Advance(position, again=turn < len(feeds), wait_seconds=wait_seconds)


def walked(
    state: PullState,
    feeds: Sequence[str],
    happened: Iterable[str | None],
    following: str,
    *,
    overlap_hours: float = 0.0,
) -> Advance:
    """One more page of a feed that shows the newest first.

    Pages are walked back until one reaches what was there the last time; only then the feed stands at the newest. Once
    an hour they are walked back for so many hours more, for what changes later. `following` names the next page, empty
    when there is none.
    """
    _, at = feed(state, feeds)
    scan = walk.fields(dict(at), "scan")
    begun, looked = _begun(state, at), moment(at.get("looked_back"))
    # A time that lies ahead is a clock that is (or was) wrong, and would hide all that comes until then.
    done = min(moment(at.get("until")) or begun, state.now)
    deep = walk.flag(scan, "deep") if scan else bool(overlap_hours) and (not looked or state.now - looked >= LOOK_EVERY)
    seen = [found for each in happened if (found := moment(each))]
    newest = max((*seen, *filter(None, (moment(scan.get("newest")),))), default=done)
    kept = walk.some(begun=_written(begun), until=_written(done), looked_back=at.get("looked_back"))
    if following and (not seen or seen[-1] > done - timedelta(hours=overlap_hours if deep else 0.0)):
        going = walk.some(next=following, newest=_written(newest), deep=deep or None)
        return moved(state, feeds, {**kept, "scan": going}, more=True)
    reached = {"until": _written(min(max(done, newest), state.now))}
    return moved(state, feeds, kept | reached | ({"looked_back": _written(state.now)} if deep else {}), more=False)


def begins(state: PullState, feeds: Sequence[str]) -> datetime:
    """Before which nothing of the feed whose turn it is, is wanted."""
    return _begun(state, feed(state, feeds)[1])


def overlap_hours(state: PullState, default: float) -> float:
    """The option of that name."""
    said = walk.number(dict(state.options), "overlap_hours")
    return default if said is None else max(said, 0.0)


def next_page(state: PullState, feeds: Sequence[str]) -> str:
    """What `following` said; empty for the first page."""
    return walk.identifier(walk.fields(dict(feed(state, feeds)[1]), "scan"), "next")


def rescanned(state: PullState, feeds: Sequence[str]) -> Advance | None:
    """Begin with the first page again, where the source doesn't know the next one any more; None at the first page."""
    if not next_page(state, feeds):
        return None
    _, at = feed(state, feeds)
    return moved(state, feeds, {name: value for name, value in at.items() if name != "scan"}, more=True)


def _begun(state: PullState, at: Position) -> datetime:
    return moment(at.get("begun")) or since(state, at)


def _written(found: datetime | None) -> str | None:
    return times.rfc3339(found) if found else None

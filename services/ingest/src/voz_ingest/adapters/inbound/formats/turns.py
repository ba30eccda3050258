"""Turns of a conversation by voice, out of JSON that names things as telephony and speech-to-text systems do, or out of
lines that begin with their speaker."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from voz_ingest.adapters.inbound.formats import speakers, times, walk
from voz_ingest.adapters.inbound.formats.walk import Fields

LANGUAGE = ("language", "languagecode", "locale", "lang")
_TURNS = ("turns", "utterances", "messages", "entries", "exchanges", "dialogue")
_SEGMENTS = ("segments", "cues", "sentences", "phrases", "captions", "lines")
_AROUND = ("transcript", "transcription", "conversation", "call", "data", "result", "results", "recording", "content")
_SPEAKER = (
    *("role", "speakerrole", "participantrole", "speakertype", "speaker", "speakername", "participant"),
    *(
        "participantid",
        "party",
        "speakerlabel",
        "speakerid",
        "channel",
        "channelid",
        "mediachannel",
        "participanttype",
        "participantpurpose",
        "from",
        "sender",
        "author",
        "name",
    ),
)
_TEXT = ("text", "content", "transcript", "utterance", "sentence", "message", "body", "value")
_SECONDS = ("start", "starttime", "startseconds", "startsec", "begin", "begintime", "offset", "offsetseconds")
_MILLISECONDS = ("startms", "startmillis", "starttimems", "beginoffsetmillis", "offsetms", "offsetmilliseconds")
_MOMENT = ("timestamp", "time", "at", "occurredat", "createdat", "spokenat", *_SECONDS)
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_LABEL = re.compile(
    r"\s*(?:>>\s*|-\s+)?(?P<open>\[)?(?P<name>[^\W\d_][\w .'’()&/-]{0,49}?)\s*"
    r"(?P<end>(?(open)\]\s*:?|:))(?:\s+|$|(?=[^\s\d/]))(?P<number>[\d$€£])?"
)
_NUMBERED = re.compile(r"\w+[ _-]?\d+")
_SMALL_WORDS = frozenset(
    {"de", "del", "da", "do", "di", "la", "las", "los", "el", "van", "von", "der", "den", "y", "e"}
)
_DEEPEST = 3
_ROLE_WORDS = 3


@dataclass(frozen=True, slots=True)
class Turn:
    """What somebody says. `names`: how the speaker is named, the most telling first; none: whoever spoke before."""

    names: tuple[str, ...]
    text: str
    start_seconds: float | None = None
    id: str = ""
    said_at: str | None = None
    language: str = ""


def of_json(document: Any, depth: int = _DEEPEST) -> list[Turn]:
    """The turns, wherever in a document they stand. Turns stay as they are cut; segments and the like, which are cut by
    time, are one turn as long as one speaker goes on."""
    if isinstance(document, str):
        return merged(labelled([Turn((), document)]))
    if isinstance(document, list):
        return _listed(document)
    fields = plain(walk.fields(document))
    for name in _TURNS:
        if isinstance(fields.get(name), list):
            return _listed(fields[name])
    for name in _SEGMENTS:
        if isinstance(fields.get(name), list):
            return merged(_listed(fields[name]))
    found = (of_json(fields[name], depth - 1) for name in _AROUND if name in fields and depth)
    return next(filter(None, found), [])


def merged(turns: Iterable[Turn]) -> list[Turn]:
    """What one speaker says in a row as one turn, however it is cut."""
    found: list[Turn] = []
    for turn in turns:
        if found and turn.names in ((), found[-1].names):
            found[-1] = replace(found[-1], text=f"{found[-1].text} {turn.text}".strip())
        else:
            found.append(turn)
    return found


def labelled(turns: Iterable[Turn]) -> Iterator[Turn]:
    """Turns whose lines begin with their speaker, `Agent: Good morning` or `[Agent] Good morning`, taken apart.

    The words for a role always count. Where the first line has a label other names do, too; elsewhere a colon is just a
    colon.
    """
    lines = [(line, turn) for turn in turns for line in turn.text.splitlines() if line.strip()]
    first = _LABEL.match(lines[0][0]) if lines else None
    any_name = first is not None and _is_label(first, frozenset(), any_name=True)
    known: set[str] = set()
    for line, turn in lines:
        found = _LABEL.match(line)
        if found and _is_label(found, known, any_name=any_name):
            known.add(found["name"])
            yield replace(turn, names=(found["name"].strip(),), text=line[found.end("end") :].strip())
        else:
            yield replace(turn, text=line.strip())


def plain(fields: Fields) -> Fields:
    """Names as they are compared: `startedAt`, `Started-At` and `started_at` are one."""
    return {re.sub(r"[^a-z0-9]", "", str(name).lower()): value for name, value in fields.items()}


def first(fields: Fields, names: Sequence[str]) -> str:
    """The first of these that is there, as text; else empty."""
    return next(filter(None, (walk.identifier(fields, name) for name in names)), "")


def _is_label(found: re.Match[str], known: Collection[str], *, any_name: bool) -> bool:
    """`Laura Gómez:`, `Sr. de la Fuente:`, `agent:`, `[speaker 2]`; not `Mi dirección es:`, `[Música]`, `Total: 39`."""
    name = found["name"]
    words = name.split()
    proper = len(words) <= 5 and all(not word[0].islower() or word in _SMALL_WORDS for word in words)
    if name in known or (speakers.side(name) is not None and (proper or len(words) <= _ROLE_WORDS)):
        return True
    if not any_name or _NUMBERED.fullmatch(name):
        return any_name
    return proper and ":" in found["end"] and not found["number"] and found.end() < len(found.string)


def _listed(items: Sequence[Any]) -> list[Turn]:
    return [turn for item in items if isinstance(item, dict) and (turn := _turn(plain(item)))]


def _turn(fields: Fields) -> Turn | None:
    text = first(fields, _TEXT) or walk.string(fields, "alternatives", 0, "transcript")
    if not text or fields.get("isfinal") is False or fields.get("ispartial") is True:
        return None
    return Turn(
        names=tuple(_names(fields)),
        text=text,
        start_seconds=_start(fields),
        id=first(fields, ("id", "turnid", "uuid", "sid")),
        said_at=next(filter(None, (times.iso(fields.get(name)) for name in _MOMENT)), None)
        or times.microseconds(fields.get("starttimestampusec")),
        language=next(filter(None, (walk.language(fields, name) for name in LANGUAGE)), ""),
    )


def _names(fields: Fields) -> list[str]:
    found: list[str] = []
    for name in _SPEAKER:
        said = fields.get(name)
        inner = plain(said) if isinstance(said, dict) else {"role": said}
        found += [walk.identifier(inner, key) for key in ("role", "type", "purpose", "name", "id")]
    return [*dict.fromkeys(filter(None, found))]


def _start(fields: Fields) -> float | None:
    """Seconds from the beginning of the call: a number, `12.5s`, `00:01:02.500`."""
    fields = {**plain(walk.fields(fields, "offsetmillis")), **fields}
    for name in _MILLISECONDS:
        number = walk.number(fields, name)
        if number is not None:
            return number / 1000
    for name in _SECONDS:
        said = fields.get(name)
        clock = _CLOCK.fullmatch(said.strip()) if isinstance(said, str) else None
        if clock:
            return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3].replace(",", "."))
        number = walk.number(said.strip().removesuffix("s") if isinstance(said, str) else said)
        if number is not None:
            return number
    return None

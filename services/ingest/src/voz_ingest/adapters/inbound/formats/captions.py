"""WebVTT and SRT files as who says what, when.

https://www.w3.org/TR/webvtt1/ (voice spans are its §1.4)
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from dataclasses import replace

import webvtt
from webvtt.errors import MalformedCaptionError, MalformedFileError

from voz_ingest.adapters.inbound.formats import turns
from voz_ingest.adapters.inbound.formats.turns import Turn
from voz_ingest.adapters.inbound.sources import PayloadError

_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_CUE_OF = re.compile(r'\d+ "([^"]+)"')  # Webex: the speaker is in the cue's identifier
_TIMES = re.compile(r"^.*-->.*$", re.MULTILINE)
_COUNTER = re.compile(r"^[ \t]*\d+[ \t]*$(?=\n.*-->)", re.MULTILINE)
_LINE_END = re.compile(r"\r\n?")
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")  # of WebVTT and HTML, and SRT's positions
_FACT = re.compile(r"\s*([A-Za-z][\w -]{0,30}?)\s*[:=]\s*(\S.*)")


def read(text: str, *, is_srt: bool) -> tuple[dict[str, str], list[Turn]]:
    """The facts in a file's notes, which are `NOTE` blocks of `name: value` lines, and its turns.

    A speaker is a voice tag, `<v Laura>`, or the name at the beginning of a line. SRT is read as WebVTT, which forgives
    more: counters or blank lines that are missing. Raises PayloadError.
    """
    text = _TIMES.sub(lambda times: times[0].replace(",", "."), _LINE_END.sub("\n", text))
    if is_srt:
        text = "WEBVTT\n\n" + _COUNTER.sub("", text)
    try:
        file = webvtt.from_buffer(io.StringIO(text), format="vtt")
    except (MalformedFileError, MalformedCaptionError, ValueError) as error:
        raise PayloadError("", f"can't be read as {'SRT' if is_srt else 'WebVTT'}: {error}") from None
    lines = [line for note in (*file.metadata, *file.header_comments) for line in note.splitlines()]
    facts = {found[1]: found[2].strip() for found in map(_FACT.fullmatch, lines) if found}
    pieces = [
        Turn((who,) if who else (), said, cue.start_time.in_milliseconds() / 1000)
        for cue in file.captions
        for who, said in _spans(cue.raw_text, _CUE_OF.match(cue.identifier or ""))
    ]
    if any(piece.names for piece in pieces):  # then a line's end is only where the screen ends
        return facts, turns.merged(replace(piece, text=" ".join(piece.text.split())) for piece in pieces)
    return facts, turns.merged(turns.labelled(pieces))


def _spans(raw: str, speaker: re.Match[str] | None) -> Iterator[tuple[str, str]]:
    """Who says what in a cue: its voice spans, and what stands before them, which is its speaker's."""
    before, *parts = _VOICE.split(raw)
    for who, said in [(speaker[1] if speaker else "", before), *zip(parts[::2], parts[1::2], strict=True)]:
        text = html.unescape(_TAG.sub("", said)).strip()
        if text:
            yield html.unescape(who).strip(), text

"""A mail's own words: without what it quotes, its signature and its legal notice, in es, en, pt, fr, de and it.

Nobody marks these reliably, so every rule asks for two signs: a line of attribution ends in a colon and has a date, an
Outlook header has a sender, a time and a recipient or subject, a legal notice is long and speaks of law. What stands
between quotes is an answer and is kept, and so is what was forwarded. Text is never lost whole: when the rules would
leave nothing of what isn't quoted, it stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from voz_ingest.adapters.inbound.formats import mail_words as words

_MAX_CHARS = 400_000
"""What of a mail is looked at: more is a log or a file that was pasted."""
_MAX_HEADER_CHARS = 300
_MOST_LINES_OF_ATTRIBUTION = 4
_MOST_LINES_OF_HEADER = 14
_LONGEST_SIGNATURE = 40
_SHORTEST_NOTICE_CHARS = 100
_QUOTED = re.compile(r"[ \t]{0,3}>")
_INVISIBLE: dict[int, str] = {ord("\xa0"): " ", ord("\u202f"): " "}
_INVISIBLE |= dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"), "")


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody wrote, and what was cut off: quotes, signature, legal notice."""

    text: str
    cut: str = ""


def cut(whole: str, *, forwarded: bool = False) -> Reply:
    """The words of a mail in plain text, quotes marked with `>`. `forwarded`: its subject says that it passes one on,
    so that what stands under an Outlook header belongs to it."""
    lines = _lines(whole)
    begin = next((index for index, line in enumerate(lines) if _is_forward(line)), None)
    if begin is None:
        return _reply(_parts(lines, forwarded=forwarded))
    passed_on = lines[begin + 1 :]
    if all(_QUOTED.match(line) for line in passed_on if line):
        passed_on = [_bare(line) for line in passed_on]
    above = _parts(lines[:begin], forwarded=False)
    return _reply([*above, _Part(other=[lines[begin]]), *_parts(_without_header(passed_on), forwarded=True)])


# Quotes


@dataclass(slots=True)
class _Part:
    """Lines that are the writer's, and those after them that are not."""

    own: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def _parts(lines: Sequence[str], *, forwarded: bool) -> list[_Part]:
    """A mail's lines by whose they are.

    Under a header the old mail follows, quoted or not. Where quotes follow, what isn't quoted is an answer; where none
    do, all of it is old, unless nothing stands above: then it was passed on without a word.
    """
    parts, said = [_Part()], False
    last_quote = max((index for index, line in enumerate(lines) if _QUOTED.match(line)), default=-1)
    index = 0
    while index < len(lines):
        line = lines[index]
        header = 0 if _QUOTED.match(line) else _header(lines, index)
        if not header and not _QUOTED.match(line):
            if parts[-1].other:
                parts.append(_Part())
            parts[-1].own.append(line)
            said = said or bool(line)
            index += 1
        elif header and said and not forwarded and index > last_quote:
            parts[-1].other += lines[index:]
            break
        else:
            parts[-1].other += lines[index : index + (header or 1)]
            index += header or 1
    return parts


def _header(lines: Sequence[str], index: int) -> int:
    """How many lines, from this one on, are a header over an old mail: 0 for none."""
    line = lines[index]
    if not line or len(line) > _MAX_HEADER_CHARS:
        return 0
    if words.ORIGINAL.fullmatch(line):
        return 1 + _outlook(lines, index + 1)
    if words.RULE.fullmatch(line.strip()):
        after = index + 1
        while after < len(lines) and after < index + 3 and not lines[after]:
            after += 1
        length = _outlook(lines, after)
        return after - index + length if length else 0
    return _outlook(lines, index) or _attribution(lines, index)


def _attribution(lines: Sequence[str], index: int) -> int:
    """How many lines the line of attribution has, which mail programs wrap."""
    joined = lines[index].strip(" *_-")
    if not words.MAYBE_WROTE.match(joined):
        return 0
    for length in range(1, _MOST_LINES_OF_ATTRIBUTION + 1):
        ends = joined.endswith((":", "：")) and words.DATED.search(joined)
        if ends and any(form.fullmatch(joined) for form in words.WROTE):
            return length
        following = index + length
        if following >= len(lines) or not lines[following] or len(joined) > _MAX_HEADER_CHARS:
            return 0
        joined = f"{joined} {lines[following][:_MAX_HEADER_CHARS].strip(' *_-')}"
    return 0


def _outlook(lines: Sequence[str], index: int) -> int:
    """How many lines Outlook's header has: sender, time, and recipient or subject, each with its label. At GMX and
    WEB.DE the time stands first."""
    begins = next((at for at, line in enumerate(lines[index : index + 2]) if words.LABELS["from"].match(line)), None)
    if begins is None or (begins and not words.LABELS["sent"].match(lines[index])):
        return 0
    seen, length = set[str](), 0
    for offset, line in enumerate(lines[index : index + _MOST_LINES_OF_HEADER]):
        kind = next((name for name, label in words.LABELS.items() if label.match(line)), "")
        if kind:
            seen.add(kind)
            length = offset + 1
        elif offset > length or (line and not lines[index + offset - 1]):
            break  # the mail itself begins
    about = seen & {"to", "subject"}
    has_address = any("@" in line for line in lines[index : index + length])
    return length if about and ("sent" in seen or ("date" in seen and (has_address or "subject" in seen))) else 0


def _without_header(lines: Sequence[str]) -> Sequence[str]:
    """A forwarded mail without the lines that say whose it was."""
    begin = 0
    for index, line in enumerate(lines[:_MOST_LINES_OF_HEADER]):
        if any(label.match(line) for label in words.LABELS.values()):
            begin = index + 1
        elif line and not lines[index - 1]:
            break
    return lines[begin:]


def _is_forward(line: str) -> bool:
    return len(line) <= _MAX_HEADER_CHARS and words.FORWARD.fullmatch(_bare(line)) is not None


# Signatures and notices


def _reply(parts: Sequence[_Part]) -> Reply:
    kept: list[str] = []
    dropped: list[str] = []
    speaking = sum(any(part.own) for part in parts)
    for part in parts:
        own, rest = _unsigned(part.own, may_be_all=speaking > any(part.own))
        kept.append("\n".join(own).strip())
        dropped += [*rest, *part.other]
    text = "\n\n".join(filter(None, kept))
    if not text:  # a signature, or a notice, without a word above it: it is all that was written
        text = "\n\n".join(filter(None, ("\n".join(part.own).strip() for part in parts)))
        dropped = [line for part in parts for line in part.other]
    return Reply(text, "\n".join(dropped).strip())


def _unsigned(lines: Sequence[str], *, may_be_all: bool) -> tuple[Sequence[str], Sequence[str]]:
    """The lines up to the signature or the notice, whichever comes first, and the rest. `may_be_all`: nothing of them
    need stay, for something else was written, too."""
    first = next((index for index, line in enumerate(lines) if line), 0)
    if lines and words.BANNER.match(lines[first]) and "" in lines[first:]:
        lines = lines[lines.index("", first) :]
        first = next((index for index, line in enumerate(lines) if line), 0)
    end = len(lines)
    for ends in (_signature, _notices, _sent_from, _contact):
        end = min((found for found in ends(lines[:end]) if found > first or may_be_all), default=end)
    return lines[:end], lines[end:]


def _signature(lines: Sequence[str]) -> Iterator[int]:
    """Two dashes on a line of their own; no answer goes on for long after them."""
    for index, line in enumerate(lines):
        if line.strip() in words.SIGNATURE and len(lines) - index <= _LONGEST_SIGNATURE:
            yield index


def _sent_from(lines: Sequence[str]) -> Iterator[int]:
    """The line that a telephone adds, near the end."""
    for index in [index for index, line in enumerate(lines) if line][-4:]:
        if len(lines[index]) <= _MAX_HEADER_CHARS and words.DEVICE.fullmatch(lines[index].strip(" *_<>.")):
            yield index


def _notices(lines: Sequence[str]) -> Iterator[int]:
    """A paragraph of law: it begins as such, is long, and has the words."""
    begin = 0
    for end in [*(index for index, line in enumerate(lines) if not line), len(lines)]:
        paragraph = " ".join(lines[begin:end]).strip(" *_-[]\"“«'")
        speaks_of_law = words.NOTICE.match(paragraph) and words.LAW.search(paragraph)
        if words.NOTICE_TITLE.match(paragraph) or (len(paragraph) >= _SHORTEST_NOTICE_CHARS and speaks_of_law):
            yield begin
        begin = end + 1


def _contact(lines: Sequence[str]) -> Iterator[int]:
    """Address and telephone under a farewell and a name; those two stay."""
    written = [index for index, line in enumerate(lines) if line]
    for position in range(max(0, len(written) - 12), len(written) - 2):
        if len(lines[written[position]]) <= 50 and words.FAREWELL.match(lines[written[position]]):
            below = [lines[index] for index in written[position + 2 :]]
            if all(len(line) <= 90 for line in below) and any(words.REACHED_BY.search(line) for line in below):
                yield written[position + 2]


# Lines


def _lines(whole: str) -> list[str]:
    text = whole[:_MAX_CHARS].translate(_INVISIBLE).replace("\r\n", "\n").replace("\r", "\n")
    return [line.rstrip() for line in text.strip("\n").split("\n")]


def _bare(line: str) -> str:
    """A line without the mark of one level of quoting."""
    return _QUOTED.sub("", line, count=1).strip() if _QUOTED.match(line) else line.strip()

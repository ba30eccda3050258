"""HTML as the text that its reader sees."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from html.parser import HTMLParser

_PARAGRAPHS = frozenset({"p", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "pre"})
_BLOCKS = _PARAGRAPHS | {"address", "article", "aside", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption"}
_BLOCKS |= {"figure", "footer", "form", "header", "hr", "li", "main", "nav", "section", "tr"}
_HIDDEN = frozenset({"script", "style", "head", "title", "template", "noscript", "svg"})
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "source", "wbr"})
_SPACES = re.compile(r"[ \t\r\n\f]+")
_SPACES_ON_A_LINE = re.compile(r"[ \t\r\f]+")
_OPEN, _CLOSE = "\x0e", "\x0f"
"""Where a quote begins and ends: no characters of HTML."""
_BLOCK, _PARAGRAPH = "\x1c", "\x1d"
"""Where a block begins or ends, on a line of its own or with an empty line between."""
_BREAKS = re.compile(r"[ \t]*[\n\x1c\x1d][ \t\n\x1c\x1d]*")
_BLANK = re.compile(r"(?<=[\n\x1c\x1d])[ \t]*\xa0[ \t\xa0]*(?=[\n\x1c\x1d])")
"""A space that doesn't break, alone on its line: how Outlook and others write an empty one."""
_MAX_QUOTES = 8
_NO_MARKS = str.maketrans("", "", _OPEN + _CLOSE + _BLOCK + _PARAGRAPH)
_NOTHING: Mapping[str, str] = {}


def to_text(html: str, without: Collection[str] = (), *, quote: str = "", before: Mapping[str, str] = _NOTHING) -> str:
    """The text of an HTML fragment: blocks on lines of their own, entities decoded, scripts and styles left out.

    A picture counts as its alternative text, an item of a list begins with a dash. `without`: elements to leave
    out with all that is in them, each as tag and class (`aside.quote`) or tag and id (`div#footer`). `quote`: what each
    line of a `blockquote` begins with. `before`: a line to put before an element, by tag and class or id. Never raises.
    """
    reader = _Reader(frozenset(without), quote, before)
    reader.feed(html)
    reader.close()
    parts = _BLANK.sub("\n", "".join(reader.parts))
    text = _BREAKS.sub(_lines, parts).replace("\xa0", " ").strip()
    return _quoted(text, quote) if quote else text


def _lines(found: re.Match[str]) -> str:
    """As many line breaks, at most two, as a reader sees of some in a row: where blocks meet there is one, between
    paragraphs an empty line, and a break alone in its block is an empty line, too."""
    breaks = found[0]
    blocks = 2 if _PARAGRAPH in breaks else 1 if _BLOCK in breaks else 0
    before, *inside = re.split(f"[{_BLOCK}{_PARAGRAPH}]", breaks)
    return "\n" * min(2, max(blocks, before.count("\n")) + sum(part.count("\n") for part in inside))


def _quoted(text: str, quote: str) -> str:
    """The text with the lines between marks set off, as often as they are quoted."""
    depth, lines = 0, []
    for line in text.split("\n"):
        said = line.replace(_OPEN, "").replace(_CLOSE, "").strip()
        opened = depth + line.count(_OPEN)
        if said or line == said:
            lines.append((quote * min(opened, _MAX_QUOTES) + said).rstrip())
        depth = max(0, opened - line.count(_CLOSE))
    return "\n".join(lines).strip()


class _Reader(HTMLParser):
    def __init__(self, without: frozenset[str], quote: str, before: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = self._preformatted = 0
        self._without, self._quote, self._before = without, quote, before
        self._left_out: list[str] = []
        """Open elements that are left out: one for its class, and those of the same name in it."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._left_out:
            if tag == self._left_out[0]:
                self._left_out.append(tag)
            return
        names = self._names(tag, attrs)
        if not self._without.isdisjoint(names):
            self._break(tag)
            self._left_out.append(tag)
            return
        self.parts.extend(f"\n{self._before[name]}\n" for name in names if name in self._before)
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "img":
            self.handle_data(dict(attrs).get("alt") or "")
        elif tag in _BLOCKS:
            self._break(tag)
            self._preformatted += tag == "pre"
            if tag == "li":
                self.parts.append("- ")
            elif tag == "blockquote" and self._quote:
                self.parts.append(f"{_OPEN}\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN and not self._left_out and self._without.isdisjoint(self._names(tag, attrs)):
            self.handle_starttag(tag, attrs)  # one that closes itself hides nothing

    def handle_endtag(self, tag: str) -> None:
        if self._left_out:
            if tag == self._left_out[0]:
                self._left_out.pop()
        elif tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS:
            if tag == "blockquote" and self._quote:
                self.parts.append(f"\n{_CLOSE}")
            self._preformatted = max(0, self._preformatted - (tag == "pre"))
            self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden and not self._left_out:
            spaces = _SPACES_ON_A_LINE if self._preformatted else _SPACES
            self.parts.append(spaces.sub(" ", data.translate(_NO_MARKS)))

    def _names(self, tag: str, attrs: list[tuple[str, str | None]]) -> list[str]:
        """An element by its classes and its id, if anything is asked of them."""
        if (not self._without and not self._before) or tag in _VOID:
            return []
        given = dict(attrs)
        return [f"{tag}.{each}" for each in (given.get("class") or "").split()] + [f"{tag}#{given.get('id')}"]

    def _break(self, tag: str) -> None:
        self.parts.append(_PARAGRAPH if tag in _PARAGRAPHS else _BLOCK)

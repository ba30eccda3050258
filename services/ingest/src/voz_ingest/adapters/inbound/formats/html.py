"""HTML as the text that its reader sees."""

from __future__ import annotations

import re
from collections.abc import Collection
from html.parser import HTMLParser

_PARAGRAPHS = frozenset({"p", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "pre"})
_BLOCKS = _PARAGRAPHS | {"address", "article", "aside", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption"}
_BLOCKS |= {"figure", "footer", "form", "header", "hr", "li", "main", "nav", "section", "tr"}
_HIDDEN = frozenset({"script", "style", "head", "title", "template", "noscript", "svg"})
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "source", "wbr"})
_SPACES = re.compile(r"[ \t\r\n\f]+")
_AROUND_BREAK = re.compile(r"[ \t]*\n[ \t]*")
_MANY_BREAKS = re.compile(r"\n{3,}")


def to_text(html: str, without: Collection[str] = ()) -> str:
    """The text of an HTML fragment: blocks on lines of their own, entities decoded, scripts and styles left out.

    A picture counts as its alternative text, an item of a list begins with a dash. `without`: elements to leave
    out with all that is in them, each as tag and class, such as `aside.quote`. Never raises.
    """
    reader = _Reader(frozenset(without))
    reader.feed(html)
    reader.close()
    text = _AROUND_BREAK.sub("\n", "".join(reader.parts))
    return _MANY_BREAKS.sub("\n\n", text).replace("\xa0", " ").strip()


class _Reader(HTMLParser):
    def __init__(self, without: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0
        self._without = without
        self._left_out: list[str] = []
        """Open elements that are left out: one for its class, and those of the same name in it."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._left_out:
            if tag == self._left_out[0]:
                self._left_out.append(tag)
        elif self._is_left_out(tag, attrs):
            self._break(tag)
            self._left_out.append(tag)
        elif tag in _HIDDEN:
            self._hidden += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "img":
            self.handle_data(dict(attrs).get("alt") or "")
        elif tag in _BLOCKS:
            self._break(tag)
            if tag == "li":
                self.parts.append("- ")
        elif tag in ("td", "th"):
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN and not self._left_out and not self._is_left_out(tag, attrs):
            self.handle_starttag(tag, attrs)  # one that closes itself hides nothing

    def handle_endtag(self, tag: str) -> None:
        if self._left_out:
            if tag == self._left_out[0]:
                self._left_out.pop()
        elif tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS:
            self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden and not self._left_out:
            self.parts.append(_SPACES.sub(" ", data))

    def _is_left_out(self, tag: str, attrs: list[tuple[str, str | None]]) -> bool:
        if not self._without or tag in _VOID:
            return False
        return any(f"{tag}.{each}" in self._without for each in (dict(attrs).get("class") or "").split())

    def _break(self, tag: str) -> None:
        self.parts.append("\n\n" if tag in _PARAGRAPHS else "\n")

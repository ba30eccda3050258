"""HTML as text."""

from __future__ import annotations

import pytest

from voz_ingest.adapters.inbound.formats.html import to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hola,</p><p>¿cómo va?<br>Ana</p>", "Hola,\n\n¿cómo va?\nAna"),
        ("<div>one</div><div>two</div>", "one\ntwo"),
        ("<div>one<br></div><div>two</div>", "one\ntwo"),
        ("<div>one</div><div><br></div><div>two</div>", "one\n\ntwo"),
        ("<div>one</div><div>&nbsp;</div><div>two&nbsp;three</div>", "one\n\ntwo three"),
        ("<p>one</p><p><o:p>&nbsp;</o:p></p><p>two</p>", "one\n\ntwo"),
        ("one<br><br><br>two", "one\n\ntwo"),
        ("<ul><li>one</li>\n<li>two &amp; a half</li></ul>after", "- one\n- two & a half\n\nafter"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("a \n b<pre>x\n  y</pre>", "a b\n\nx\ny"),
        ("caf&eacute; &lt;3 \x1c&nbsp;😀", "café <3  😀"),
    ],
)
def test_lines_are_those_that_a_reader_sees(html: str, text: str) -> None:
    assert to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<aside class="quote x"><aside>old</aside><p>old</p></aside><p>new</p>', "new"),
        ('<p>a</p><aside class="quote"><div>old<br/></div></aside>b', "a\n\nb"),
        ('<p>a<aside class="quote"/>b</p>', "ab"),
        ('<div class="quote">new</div><aside class="quotes">new too</aside>', "new\nnew too"),
        ('new <aside class="quote">never closed', "new"),
        ('<aside class="quote"><script>x</aside></script></aside>new', "new"),
        ('<img class="quote" alt="picture">', "picture"),
    ],
)
def test_an_element_is_left_out_with_all_that_is_in_it(html: str, text: str) -> None:
    assert to_text(html, without={"aside.quote", "img.quote"}) == text

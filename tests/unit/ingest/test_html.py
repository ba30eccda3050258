"""HTML as text, where elements are left out."""

from __future__ import annotations

import pytest

from voz_ingest.adapters.inbound.formats.html import to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<aside class="quote x"><aside>old</aside><p>old</p></aside><p>new</p>', "new"),
        ('<p>a</p><aside class="quote"><div>old<br/></div></aside>b', "a\n\nb"),
        ('<p>a<aside class="quote"/>b</p>', "ab"),
        ('<div class="quote">new</div><aside class="quotes">new too</aside>', "new\n\nnew too"),
        ('new <aside class="quote">never closed', "new"),
        ('<aside class="quote"><script>x</aside></script></aside>new', "new"),
        ('<img class="quote" alt="picture">', "picture"),
    ],
)
def test_an_element_is_left_out_with_all_that_is_in_it(html: str, text: str) -> None:
    assert to_text(html, without={"aside.quote", "img.quote"}) == text

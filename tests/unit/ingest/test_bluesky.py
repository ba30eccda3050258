"""The options of a connection to Bluesky."""

from __future__ import annotations

from typing import Any

import pytest

from voz_ingest.adapters.inbound.sources import load


@pytest.mark.parametrize("options", [{}, {"terms": []}, {"terms": ["acme", "@acme.example"]}])
def test_terms_are_a_list_of_words(options: dict[str, Any]) -> None:
    check = load("bluesky").check
    assert check is not None
    check(options)


@pytest.mark.parametrize("terms", ["acme", 5, None, {"acme": 1}, ["acme", 5], [""]])
def test_other_terms_are_refused(terms: object) -> None:
    check = load("bluesky").check
    assert check is not None
    with pytest.raises(ValueError, match="terms"):
        check({"terms": terms})

"""What a recording becomes, and when its parts are due."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voz_devstack.replay import Recorded, RecordingError, batches, read_recording

START = datetime(2015, 2, 17, tzinfo=UTC)


def recording(path: Path, *rows: object) -> Path:
    file = path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_rows_come_oldest_first_with_their_own_times(tmp_path: Path) -> None:
    later = {"id": "2", "occurred_at": "2015-02-24T11:35:00+02:00", "brand": "Delta", "text": "late again"}
    earlier = {"id": 1, "occurred_at": "2015-02-24T09:00:00", "text": "lovely crew", "label": "positive"}
    first, second = read_recording(recording(tmp_path, later, earlier))
    assert first.event == {
        "id": "1",
        "source": "replay",
        "channel": "social",
        "customer": {"id": "author-of-1"},
        "text": "lovely crew",
        "attributes": {},
        "occurred_at": "2015-02-24T09:00:00Z",
    }
    assert second.event["attributes"] == {"product": "Delta"}
    assert second.event["occurred_at"] == "2015-02-24T09:35:00Z"


def test_an_event_in_the_plain_form_is_taken_as_it_is(tmp_path: Path) -> None:
    event = {
        "id": "9",
        "channel": "chat",
        "customer": {"id": "c-1"},
        "survey": {"metric": "nps", "score": 9},
        "occurred_at": "2020-01-01T00:00:00Z",
    }
    (row,) = read_recording(recording(tmp_path, event))
    assert row.event == event


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"text": "no time"}', '{"occurred_at": "yesterday", "text": "x"}', '{"occurred_at": null}']
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"occurred_at": "2020-01-01T00:00:00Z", "text": "fine"}\n' + line, encoding="utf-8")
    with pytest.raises(RecordingError, match="line 2"):
        read_recording(file)


def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no events"):
        read_recording(recording(tmp_path))


@given(gaps=st.lists(st.integers(0, 10_000), min_size=1, max_size=1500), speed=st.floats(0.5, 10_000))
def test_everything_is_due_once_in_order_and_never_early_by_more_than_a_tick(gaps: list[int], speed: float) -> None:
    at, rows = START, []
    for number, gap in enumerate(gaps):
        at += timedelta(seconds=gap)
        rows.append(Recorded(at, {"id": str(number)}))
    found = list(batches(rows, speed))
    assert [row for _, batch in found for row in batch] == rows
    assert [due for due, _ in found] == sorted(due for due, _ in found)
    for due, batch in found:
        assert len(batch) <= 500
        for row in batch:
            own = (row.occurred_at - rows[0].occurred_at).total_seconds() / speed
            assert due <= own <= due + 0.1 + 1e-9

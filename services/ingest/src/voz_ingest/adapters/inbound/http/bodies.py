"""Reading request bodies: whole and bounded, or as a stream of lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from voz_ingest.adapters.inbound.sources import api
from voz_ingest.domain.budget import Held
from voz_ingest.domain.draft import Draft
from voz_ingest.domain.fields import FieldError
from voz_ingest.use_cases import Submission
from voz_streamkit.http.hot import Request
from voz_streamkit.http.problems import Problem

PART_EVENTS = 500
"""Events that are read, encoded and appended at a time: enough to fill Kafka's batches, few enough (some 15 ms of
work) that other requests are answered in between."""
PART_BYTES = 1 << 20


async def read_whole(request: Request, held: Held, *, max_bytes: int) -> bytes:
    """The body. Its declared size (Content-Length) is held from before it is read. Raises Problem 413, and
    OverBudgetError."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal():
        if int(declared) > max_bytes:
            raise too_large(max_bytes)
        held.resize(int(declared))
    if request.body is not None:
        held.resize(len(request.body))
        return request.body
    first = b""
    rest: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise too_large(max_bytes)
        if size > held.size:
            held.resize(size)
        if not first:
            first = chunk
        else:
            rest.append(chunk)
    return b"".join((first, *rest)) if rest else first


async def submit_whole(submission: Submission, drafts: Sequence[Draft], *, max_events: int) -> None:
    """Hand over the events of a body, in parts. Raises Problem 413 for more than `max_events`."""
    if len(drafts) > max_events:
        detail = (
            f"A batch holds at most {max_events} events, and this one has {len(drafts)}: send it in parts, or one event"
            " a line as application/x-ndjson, which is read as a stream."
        )
        raise Problem(413, detail)
    last = max(0, len(drafts) - 1) // PART_EVENTS * PART_EVENTS
    for begin in range(0, last, PART_EVENTS):
        await submission.add(drafts[begin : begin + PART_EVENTS])
    await submission.finish(drafts[last:])


@dataclass(slots=True)
class Lines:
    """The lines of a streamed body, in parts. Holds one part and one unfinished line at a time."""

    request: Request
    held: Held
    max_line_bytes: int

    async def parts(self) -> AsyncIterator[list[Draft]]:
        """Events in parts of at most PART_EVENTS. Raises OverBudgetError."""
        rest = bytearray()
        dropping = False  # inside a line that is too long: its end is still to come
        drafts: list[Draft] = []
        size = 0
        async for chunk in self.request.stream():
            *lines, last = chunk.split(b"\n")
            for line in lines:
                whole = bytes(rest) + line if rest else line
                rest.clear()
                if dropping:
                    dropping = False
                    continue
                size += len(whole)
                drafts += [self._too_long()] if len(whole) > self.max_line_bytes else api.parse_lines([whole])
                if len(drafts) >= PART_EVENTS or size >= PART_BYTES:
                    yield drafts
                    drafts, size = [], 0
            if not dropping:
                rest += last
                if len(rest) > self.max_line_bytes:
                    rest.clear()
                    dropping = True
                    drafts.append(self._too_long())
            self.held.resize(size + len(rest))
        if rest:
            drafts += api.parse_lines([bytes(rest)])
        if drafts:
            yield drafts

    def _too_long(self) -> Draft:
        detail = f"the line is longer than {self.max_line_bytes} bytes"
        return Draft(None, errors=(FieldError("", detail),))


def too_large(max_bytes: int) -> Problem:
    """The problem of a body that isn't taken at once."""
    return Problem(
        413,
        f"The body is larger than the {max_bytes} bytes that are taken at once: send it in parts, or as"
        " application/x-ndjson, which is read as a stream.",
    )

"""Ingest's HTTP API as a client sees it: batches of events, sent until they are taken or refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

from voz_ingest.domain.fields import FieldError

_AGAIN = frozenset({429, 500, 502, 503, 504})


class SendingError(Exception):
    """Events that could not be sent. `passing`: it may work later."""

    def __init__(self, detail: str, *, passing: bool) -> None:
        super().__init__(detail)
        self.passing = passing


class EventsApi:
    """Sends batches until ingest has taken them, or said that it won't. `waiting` hears why and how long it waits.
    Raises SendingError for what is no URL."""

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        key: str,
        patience_seconds: float,
        waiting: Callable[[str, float], None],
    ) -> None:
        if not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", url):
            raise SendingError(f"{url} is no URL of ingest, such as http://127.0.0.1:8001", passing=False)
        self._client, self._url = client, f"{url.rstrip('/')}/v1/events"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._patience_seconds, self._waiting = patience_seconds, waiting

    def send(self, bodies: Sequence[bytes]) -> dict[int, list[FieldError]]:
        """What ingest refused of the events, by their index. Raises SendingError."""
        backoff = wait_random_exponential(multiplier=0.5, max=30)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.after_seconds if isinstance(error, _TryAgainError) else 0.0
            return max(asked, backoff(state))

        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgainError),
            wait=wait,
            stop=stop_before_delay(self._patience_seconds),
            before_sleep=self._say,
            reraise=True,
        )
        try:
            answer = retrying(self._post, b"[" + b",".join(bodies) + b"]")
        except _TryAgainError as error:
            after = f" (it asks for {error.after_seconds:g} seconds)" if error.after_seconds else ""
            raise SendingError(f"{error}{after}", passing=True) from None
        if answer.status_code == 413:
            return self._halves(bodies)
        document = _document(answer)
        if answer.status_code == 422:
            return _all_refused(document, len(bodies))
        if answer.is_success and isinstance(document.get("rejected"), list):
            return {each["index"]: _errors(each) for each in document["rejected"]}
        detail = document.get("detail") or answer.reason_phrase
        raise SendingError(f"{self._url} answers {answer.status_code}: {detail}", passing=False)

    def _say(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._waiting(str(error), state.next_action.sleep if state.next_action else 0.0)

    def _post(self, body: bytes) -> httpx.Response:
        try:
            answer = self._client.post(self._url, content=body, headers=self._headers)
        except httpx.TransportError as error:
            raise _TryAgainError(f"{self._url} can't be reached: {error}", 0.0) from None
        if answer.status_code in _AGAIN:
            detail = _document(answer).get("detail") or answer.reason_phrase
            said = answer.headers.get("Retry-After", "")
            raise _TryAgainError(f"{answer.status_code}: {detail}", float(said) if said.isdecimal() else 0.0)
        return answer

    def _halves(self, bodies: Sequence[bytes]) -> dict[int, list[FieldError]]:
        middle = len(bodies) // 2
        if not middle:
            return {0: [FieldError("", "is too large")]}
        first, second = self.send(bodies[:middle]), self.send(bodies[middle:])
        return first | {middle + index: errors for index, errors in second.items()}


class _TryAgainError(Exception):
    def __init__(self, detail: str, after_seconds: float) -> None:
        super().__init__(detail)
        self.after_seconds = after_seconds


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _errors(said: dict[str, Any]) -> list[FieldError]:
    return [FieldError(each.get("pointer", ""), each.get("detail", "")) for each in said.get("errors", [said])]


def _all_refused(document: dict[str, Any], number: int) -> dict[int, list[FieldError]]:
    """What a 422 says of each event; it may not list them all."""
    found: dict[int, list[FieldError]] = {index: [] for index in range(number)}
    for each in document.get("errors", []):
        index, _, pointer = each.get("pointer", "").removeprefix("/").partition("/")
        if index.isdecimal() and int(index) in found:
            found[int(index)].append(FieldError(f"/{pointer}" if pointer else "", each.get("detail", "")))
    return {index: errors or [FieldError("", "is not valid")] for index, errors in found.items()}

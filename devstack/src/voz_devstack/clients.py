"""The pipeline's HTTP interfaces as the simulator uses them: what any other program could do with a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from voz_contracts.cloudevents import rfc3339
from voz_devstack.places import Webhook

_PATIENCE_SECONDS = 120.0
_backoff = wait_exponential_jitter(multiplier=0.2, max=5.0)


class BusyError(Exception):
    """Not now: try again after `retry_after_seconds`, if it is known."""

    def __init__(self, what: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(what)
        self.retry_after_seconds = retry_after_seconds


class ConflictError(Exception):
    """A case's state forbids what was asked: somebody else was quicker."""


@dataclass(frozen=True)
class Sent:
    """What became of some events: ids of the accepted ones, and the reasons for the others."""

    ids: Sequence[str]
    rejected: Sequence[str]


@dataclass(frozen=True)
class Kpi:
    """A KPI of a window, in the catalogue's unit; `value` is None without data."""

    value: float | None
    n: int
    unit: str


@dataclass(frozen=True)
class Queue:
    """How a queue stands."""

    name: str
    waiting: int
    claimed: int
    past_due: int


class IngestClient:
    """Hands events in, with the same ids until they are accepted: a repetition is the same event."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http, self._url = http, url

    async def send(self, events: Sequence[Mapping[str, Any]]) -> Sent:
        """Send a batch. Raises BusyError when ingest won't take it for two minutes, HTTPStatusError for a bad key."""
        async for attempt in _persistently():
            with attempt:
                return await self._send(events)
        raise AssertionError("tenacity ends by an answer or an error")

    async def _send(self, events: Sequence[Mapping[str, Any]]) -> Sent:
        answer = await _ask(self._http, "POST", f"{self._url}/v1/events", json=list(events))
        body = answer.json()
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            return Sent((), [f"{error['pointer']}: {error['detail']}" for error in body["errors"]])
        answer.raise_for_status()
        return Sent(body["ids"], [f"/{each['index']}{each['pointer']}: {each['detail']}" for each in body["rejected"]])


class SourceClient:
    """Sends what sources send, as they do: again until it is taken."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http, self._url = http, url

    async def send(self, webhook: Webhook) -> Sent:
        """Send a webhook. Raises BusyError when ingest won't take it for two minutes."""
        async for attempt in _persistently():
            with attempt:
                url = f"{self._url}{webhook.path}"
                answer = await _ask(self._http, "POST", url, content=webhook.body, headers=webhook.headers)
                if answer.is_success:
                    return Sent(answer.json()["ids"], ())
                return Sent((), [f"{webhook.path.partition('?')[0]}: {answer.status_code} {answer.json()['detail']}"])
        raise AssertionError("tenacity ends by an answer or an error")

    async def link(self, identities: Sequence[str]) -> None:
        """Say that these are one person."""
        async for attempt in _persistently():
            with attempt:
                body = {"identities": list(identities), "note": "demo"}
                answer = await _ask(self._http, "POST", f"{self._url}/v1/identities/links", json=body)
                answer.raise_for_status()


class RouterClient:
    """Looks at queues and works cases."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http, self._url = http, url

    async def queues(self) -> list[Queue]:
        """Every queue. Raises BusyError when the router doesn't answer."""
        items = (await self._get("/v1/queues"))["items"]
        return [Queue(each["queue"], each["waiting"], each["claimed"], each["past_due"]) for each in items]

    async def open_cases(self, queue: str, limit: int = 50) -> list[dict[str, Any]]:
        """The open cases of a queue that are due first."""
        found: list[dict[str, Any]] = (await self._get(f"/v1/queues/{queue}/cases", status="open", limit=limit))[
            "items"
        ]
        return found

    async def act(self, case_id: str, call: str, key: str, **body: str) -> None:
        """Claim, note, resolve or reopen; `key` makes a repetition the same act.

        Raises ConflictError when the case's state forbids it, BusyError when the router is away for two minutes.
        """
        async for attempt in _persistently():
            with attempt:
                await self._act(case_id, call, key, body)

    async def _act(self, case_id: str, call: str, key: str, body: Mapping[str, str]) -> None:
        url, headers = f"{self._url}/v1/cases/{case_id}/{call}", {"Idempotency-Key": key}
        answer = await _ask(self._http, "POST", url, json=body, headers=headers)
        if answer.status_code == httpx.codes.CONFLICT:
            raise ConflictError(answer.json()["detail"])
        answer.raise_for_status()

    async def _get(self, path: str, **params: str | int) -> Any:
        answer = await _ask(self._http, "GET", f"{self._url}{path}", params=params)
        answer.raise_for_status()
        return answer.json()


class MetricsClient:
    """Asks for KPIs."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http, self._url = http, url
        self._units: dict[str, str] = {}

    async def kpis(self, names: Sequence[str], window: str) -> dict[str, Kpi]:
        """KPIs of everybody in a window that ends now."""
        return await self._kpis({"kpi": ",".join(names), "window": window})

    async def volume(self, source: str, start: datetime, end: datetime) -> int:
        """Events of a source that occurred in `[start, end)` and are counted."""
        params = {"kpi": "volume", "source": source, "from": rfc3339(start), "to": rfc3339(end)}
        return int((await self._kpis(params))["volume"].value or 0)

    async def _kpis(self, params: Mapping[str, str]) -> dict[str, Kpi]:
        if not self._units:
            self._units = {kpi["id"]: kpi["unit"] for kpi in (await self._get("/v1/kpis/catalogue"))["items"]}
        # Without `by` there is exactly one group: everybody.
        (group,) = (await self._get("/v1/kpis", params))["groups"]
        return {name: Kpi(kpi["value"], kpi["n"], self._units[name]) for name, kpi in group["kpis"].items()}

    async def _get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        answer = await _ask(self._http, "GET", f"{self._url}{path}", params=params)
        answer.raise_for_status()
        return answer.json()


def http_client(api_key: str) -> httpx.AsyncClient:
    """A client that shows the key; proxies of the environment are for the world outside."""
    return httpx.AsyncClient(headers={"Authorization": f"Bearer {api_key}"}, timeout=30, trust_env=False)


async def _ask(http: httpx.AsyncClient, method: str, url: str, **arguments: Any) -> httpx.Response:
    """One request; BusyError for what passes."""
    try:
        answer = await http.request(method, url, **arguments)
    except httpx.TransportError as error:
        raise BusyError(f"{method} {url}: {error or type(error).__name__}") from error
    if answer.status_code in (429, 502, 503, 504):
        after = answer.headers.get("Retry-After", "")
        raise BusyError(f"{method} {url}: {answer.status_code}", float(after) if after.isdecimal() else None)
    return answer


def _persistently() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(BusyError),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        wait=_wait,
        reraise=True,
    )


def _wait(state: RetryCallState) -> float:
    """What the server asks for, else longer each time."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_seconds if isinstance(error, BusyError) else None
    return asked if asked is not None else _backoff(state)

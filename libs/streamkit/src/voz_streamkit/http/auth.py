"""API keys: `Authorization: Bearer <key>`. A key belongs to one tenant and has scopes; only its SHA-256 is stored.

Keys are 256 random bits, so a plain hash is enough: there is nothing to guess (OWASP's slow hashes are for passwords).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from fastapi import Request

from voz_streamkit.http.problems import Problem
from voz_streamkit.reload import FileError, ReloadingFile

EVENTS_WRITE = "events:write"
QUEUES_READ = "queues:read"
QUEUES_WORK = "queues:work"
METRICS_READ = "metrics:read"
CUSTOMERS_READ = "customers:read"
ADMIN = "admin"
_REMEMBERED_HEADERS = 10_000
SCOPES = (EVENTS_WRITE, QUEUES_READ, QUEUES_WORK, METRICS_READ, CUSTOMERS_READ, ADMIN)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking."""

    key_id: str
    tenant: str
    scopes: frozenset[str]


class ApiKeys:
    """The keys in force, by the hash of the key."""

    def __init__(self, by_hash: Mapping[str, Principal]) -> None:
        self._by_hash = dict(by_hash)
        self._by_header: dict[str, Principal] = {}

    def find(self, key: str) -> Principal | None:
        """The key's principal. The look-up is by a hash of what was sent, so its time tells nothing of other keys."""
        return self._by_hash.get(hash_key(key))

    def holder(self, authorization: str) -> Principal | None:
        """Whose key an `Authorization` header holds."""
        found = self._by_header.get(authorization)
        if found is None:
            kind, _, key = authorization.partition(" ")
            found = self.find(key.strip()) if kind.lower() == "bearer" else None
            if found is not None and len(self._by_header) < _REMEMBERED_HEADERS:
                self._by_header[authorization] = found
        return found


def hash_key(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key() -> str:
    """A fresh key, recognisable by secret scanners by its prefix."""
    return f"voz_{secrets.token_urlsafe(32)}"


def parse_keys(text: str) -> ApiKeys:
    """Keys from YAML: `keys: [{id, tenant, sha256, scopes: […]}]`. Raises FileError with the line."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    document = yaml.safe_load(text)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise FileError("", 1, "expected a list under `keys`")
    lines = _entry_lines(node)
    found: dict[str, Principal] = {}
    for entry, line in zip(document["keys"], lines, strict=True):
        digest, principal = _parse_entry(entry, line)
        if digest in found:
            raise FileError("", line, "the same key twice")
        found[digest] = principal
    return ApiKeys(found)


def _entry_lines(node: Any) -> Iterable[int]:
    entries = next(value for key, value in node.value if key.value == "keys")
    return [entry.start_mark.line + 1 for entry in entries.value]


def _parse_entry(entry: Any, line: int) -> tuple[str, Principal]:
    if not isinstance(entry, dict) or set(entry) != {"id", "tenant", "sha256", "scopes"}:
        raise FileError("", line, "a key has exactly: id, tenant, sha256, scopes")
    digest = str(entry["sha256"]).lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise FileError("", line, "sha256 must be 64 hexadecimal digits (voz-keys new prints them)")
    scopes = entry["scopes"]
    unknown = set(scopes) - set(SCOPES) if isinstance(scopes, list) else {"(not a list)"}
    if unknown:
        raise FileError("", line, f"unknown scopes {', '.join(sorted(unknown))}; known: {', '.join(SCOPES)}")
    return digest, Principal(str(entry["id"]), str(entry["tenant"]), frozenset(scopes))


def authorise(keys: ApiKeys, authorization: str, scope: str) -> Principal:
    """The principal of an `Authorization` header whose key has `scope`. Raises Problem: 401 without a key, 403 without
    the scope."""
    found = keys.holder(authorization)
    if found is None:
        detail = "A valid API key is needed: `Authorization: Bearer <key>`."
        raise Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="voz"'})
    if scope not in found.scopes:
        raise Problem(403, f"This key lacks the scope `{scope}`.")
    return found


def requires(scope: str) -> Callable[[Request], Principal]:
    """A dependency: the principal of a request, as `authorise` finds it.

    The app keeps its keys in `app.state.api_keys`, a ReloadingFile of ApiKeys.
    """

    def principal(request: Request) -> Principal:
        keys: ReloadingFile[ApiKeys] = request.app.state.api_keys
        return authorise(keys.value, request.headers.get("authorization", ""), scope)

    return principal

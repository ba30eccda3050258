"""`voz-ingest identities`: which identities are one person."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voz_contracts.cloudevents import rfc3339
from voz_contracts.topics import EVENTS
from voz_ingest.adapters.inbound.connections import connections_file
from voz_ingest.adapters.outbound.postgres_identities import PostgresIdentityStore
from voz_ingest.domain.groups import MAX_GROUP, Verdict
from voz_ingest.domain.identities import Identity, hidden, parse
from voz_ingest.ports import Claim, IdentitiesUnavailableError, Person
from voz_streamkit.database import create_engine, migrate
from voz_streamkit.errors import is_transient
from voz_streamkit.metrics import Metrics
from voz_streamkit.reload import FileError
from voz_streamkit.run import EXIT_FAILED, EXIT_MISCONFIGURED, read_settings
from voz_streamkit.settings import DatabaseSettings, describe


class IdentitiesSettings(DatabaseSettings):
    """What the command needs."""

    model_config = SettingsConfigDict(env_prefix="VOZ_INGEST_")

    connections_file: Path | None = Field(
        None,
        validation_alias="VOZ_CONNECTIONS_FILE",
        description="The connections file, where a tenant's handles are hidden under a key.",
    )


class _WrongUseError(Exception):
    """What the command can't do as it was given."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `identities` takes."""
    parser.description = (
        "Which identities are one person, for a tenant. An identity is `space:value`: company:c-42, email:…, phone:…,"
        " or a source's name with its id of the person or their handle there. What changes is published by `serve` or"
        " `connect`, and in force there within a second. Exit code 1 when PostgreSQL can't be asked, 2 for wrong use."
    )
    parser.epilog = f"Environment:\n{describe(IdentitiesSettings)}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, words in (
        ("link", "say that identities are one person"),
        ("unlink", "take identities out of their group again"),
        ("list", "whose identities these are"),
    ):
        action = actions.add_parser(name, help=words, description=words)
        action.add_argument("identities", nargs="+", metavar="IDENTITY", help="space:value")
        action.add_argument("--tenant", required=True)
        if name != "list":
            action.add_argument("--note", default="", help="for whoever wonders later")
        action.set_defaults(run=run, action=name)


def run(chosen: argparse.Namespace) -> int:
    """The command; prints the person (or persons) as JSON lines. Returns the exit code."""
    settings = read_settings(IdentitiesSettings)
    try:
        people = asyncio.run(_run(chosen, settings))
    except (_WrongUseError, FileError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_MISCONFIGURED
    except Exception as error:
        if not (isinstance(error, IdentitiesUnavailableError) or is_transient(error)):
            raise
        print(f"error: PostgreSQL can't be asked: {error}", file=sys.stderr)
        return EXIT_FAILED
    for person in people:
        print(json.dumps(_plain(person), ensure_ascii=False))
    return 0


async def _run(chosen: argparse.Namespace, settings: IdentitiesSettings) -> list[Person]:
    named = _identities(chosen, settings)
    await asyncio.to_thread(migrate, settings.postgres_dsn.get_secret_value(), "voz_ingest")
    engine = create_engine(settings, application_name="voz-ingest-identities")
    store = PostgresIdentityStore(engine, settings.topic(EVENTS), lambda: None)
    said_by = f"cli:{getpass.getuser()}"
    try:
        if chosen.action == "link":
            (verdict,) = await store.link(chosen.tenant, [Claim(tuple(named), said_by, chosen.note, by_hand=True)])
            if verdict is Verdict.TOO_MANY:
                raise _WrongUseError(f"they would be more than {MAX_GROUP} identities, which is no one person")
        if chosen.action == "unlink":
            await store.unlink(chosen.tenant, named, said_by, chosen.note)
        people = [await store.person(chosen.tenant, each) for each in named]
        return list({person.customer_key: person for person in people}.values())
    finally:
        await engine.dispose()


def _identities(chosen: argparse.Namespace, settings: IdentitiesSettings) -> Sequence[Identity]:
    key = b""
    if settings.connections_file:
        tenants = connections_file(settings.connections_file, Metrics("ingest")).value
        key = tenants.tenant(chosen.tenant).pseudonym_key.encode()
    found = []
    for written in chosen.identities:
        try:
            found.append(hidden(parse(written), key))
        except ValueError as error:
            raise _WrongUseError(f"{written}: {error}") from None
    named = list(dict.fromkeys(found))
    if chosen.action == "link" and len(named) < 2:
        raise _WrongUseError("at least two different identities can be one person")
    return named


def _plain(person: Person) -> dict[str, Any]:
    return {
        "key": str(person.customer_key),
        "identities": [str(member.identity) for member in person.members],
        "said": [
            {
                "at": rfc3339(said.at),
                "by": said.said_by,
                "what": "linked" if said.linked else "unlinked",
                "identities": [str(each) for each in said.identities],
                "note": said.note,
            }
            for said in person.said
        ],
    }

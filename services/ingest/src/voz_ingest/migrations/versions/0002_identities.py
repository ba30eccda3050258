"""Identities of one person, who said so, and the outbox that tells the others."""

from alembic import op

from voz_streamkit.tables import create_streamkit_tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = """
create table identity (
    tenant text not null,
    identity text not null,
    key uuid not null,
    customer_key uuid not null,
    group_id bigint,
    ordinal bigint generated always as identity,
    through text,
    change bigint not null,
    primary key (tenant, identity)
);
create index identity_group on identity (tenant, group_id) where group_id is not null;
create unique index identity_change on identity (change);

create table identity_apart (
    tenant text not null,
    one text not null,
    other text not null,
    primary key (tenant, one, other)
);

create table identity_said (
    tenant text not null,
    id bigint generated always as identity,
    said_at timestamptz not null default now(),
    said_by text not null,
    linked boolean not null,
    identities text[] not null,
    note text not null,
    primary key (tenant, id)
);
create index identity_said_identities on identity_said using gin (identities);
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
    create_streamkit_tables("ingest")

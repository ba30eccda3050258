"""Connectors with their positions and leases, and announcements whose content is still to be fetched."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = """
create table connector (
    tenant text not null,
    connection_id text not null,
    source text not null,
    position jsonb not null default '{}',
    recent bytea not null default '',
    paused boolean not null default false,
    lease_owner text,
    lease_token bigint not null default 0,
    lease_until timestamptz,
    due_at timestamptz not null default now(),
    failures integer not null default 0,
    last_success_at timestamptz,
    last_error text,
    last_error_at timestamptz,
    updated_at timestamptz not null default now(),
    primary key (tenant, connection_id)
);

create table announcement (
    tenant text not null,
    id bigint generated always as identity,
    connection_id text not null,
    source text not null,
    body bytea not null,
    headers jsonb not null,
    received_at timestamptz not null default now(),
    due_at timestamptz not null default now(),
    attempts integer not null default 0,
    last_error text,
    primary key (tenant, id)
);
create index announcement_due on announcement (due_at);
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)

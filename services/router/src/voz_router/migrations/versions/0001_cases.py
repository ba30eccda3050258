"""Cases, their messages and history, decisions, idempotency keys, and what exactly-once effects need."""

from alembic import op

from voz_streamkit.tables import create_streamkit_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
create table support_case (
    tenant text not null,
    id uuid not null,
    scope text not null,
    queue text not null,
    status text not null,
    customer_key text not null,
    customer_id text not null,
    customer_handle text not null,
    customer_name text not null,
    customer_reach bigint not null,
    rule text not null,
    policy_version text not null,
    reason text not null,
    signals jsonb not null,
    channel text not null,
    source text not null,
    audience text not null,
    attributes jsonb not null,
    conversation_id text not null,
    text text not null,
    stage text not null,
    began_at timestamptz not null,
    opened_at timestamptz not null,
    clock_started_at timestamptz not null,
    due_at timestamptz not null,
    assignee text not null,
    first_response_at timestamptz,
    first_resolved_at timestamptz,
    resolved_at timestamptz,
    outcome text not null,
    message_count integer not null,
    reopen_count integer not null,
    transfer_count integer not null,
    sequence integer not null,
    primary key (tenant, id),
    constraint support_case_status check (status in ('open', 'claimed', 'waiting', 'resolved'))
);
create unique index support_case_one_open on support_case (tenant, customer_key, scope) where status <> 'resolved';
create index support_case_by_due on support_case (tenant, queue, status, due_at, id);
create index support_case_resolved on support_case (resolved_at) where status = 'resolved';

create table case_message (
    tenant text not null,
    case_id uuid not null,
    event_id uuid not null,
    added_at timestamptz not null,
    occurred_at timestamptz not null,
    direction text not null,
    channel text not null,
    source text not null,
    kind text not null,
    audience text not null,
    conversation_id text not null,
    text text not null,
    signals jsonb not null,
    primary key (tenant, case_id, event_id, added_at)
) partition by range (added_at);
create table case_message_default partition of case_message default;

create table case_event (
    tenant text not null,
    case_id uuid not null,
    sequence integer not null,
    recorded_at timestamptz not null default now(),
    type text not null,
    occurred_at timestamptz not null,
    agent text not null,
    note text not null,
    event_id uuid,
    queue text not null,
    status text not null,
    primary key (tenant, case_id, sequence, recorded_at)
) partition by range (recorded_at);
create table case_event_default partition of case_event default;

create table decision (
    tenant text not null,
    event_id uuid not null,
    decided_at timestamptz not null,
    customer_key text not null,
    act boolean not null,
    effect text not null,
    rule text not null,
    queue text not null,
    policy_version text not null,
    reason text not null,
    because text[] not null,
    case_id uuid,
    primary key (tenant, event_id, decided_at)
) partition by range (decided_at);
create index decision_by_customer on decision (tenant, customer_key, decided_at desc, event_id desc);
create table decision_default partition of decision default;

create table idempotency_key (
    tenant text not null,
    key text not null,
    fingerprint bytea not null,
    answer json,
    created_at timestamptz not null,
    primary key (tenant, key)
);
create index idempotency_key_created_at on idempotency_key (created_at);
"""


def upgrade() -> None:
    """Make the tables. Partitions are made by upkeep, ahead of time; the default ones take what comes before."""
    for statement in TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    create_streamkit_tables("router")

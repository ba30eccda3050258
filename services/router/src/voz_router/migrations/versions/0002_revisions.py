"""Messages that were edited or taken back by their authors."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = """
create table message_state (
    tenant text not null,
    message_id uuid not null,
    version text,
    deleted boolean not null,
    changed_at timestamptz not null default now(),
    primary key (tenant, message_id)
);
create index message_state_changed_at on message_state using brin (changed_at);

alter table case_message add column message_id uuid;
update case_message set message_id = event_id;
alter table case_message alter column message_id set not null;
alter table case_message
    add column edited boolean not null default false,
    add column deleted boolean not null default false;
create index case_message_message on case_message (tenant, message_id);

alter table support_case add column message_id uuid;
update support_case c set message_id = e.event_id
    from case_event e where e.tenant = c.tenant and e.case_id = c.id and e.sequence = 1;
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)

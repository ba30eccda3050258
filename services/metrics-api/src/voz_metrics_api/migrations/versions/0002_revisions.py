"""Messages that were edited or taken back, and what of each event has to be known to undo what it counted."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        create table message_state (
            tenant text not null,
            message_id uuid not null,
            newest uuid,
            version text not null,
            deleted boolean not null,
            changed_at timestamptz not null default now(),
            primary key (tenant, message_id)
        )
        """
    )
    op.execute("create index message_state_changed_at on message_state using brin (changed_at)")
    # Events that were counted before have neither: what they counted stays, whatever is done to them.
    op.execute("alter table touchpoint add column dimensions uuid, add column counters jsonb")
    op.execute(
        "alter table touchpoint add column edited boolean not null default false,"
        " add column deleted boolean not null default false"
    )
    op.execute("create index touchpoint_event_id on touchpoint (event_id)")

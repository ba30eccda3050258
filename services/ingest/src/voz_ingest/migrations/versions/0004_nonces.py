"""Values that may be used once, of signatures that don't cover the body."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "create table webhook_nonce ("
        " tenant text not null,"
        " connection_id text not null,"
        " nonce text not null,"
        " digest bytea not null,"
        " seen_at timestamptz not null default now(),"
        " primary key (tenant, connection_id, nonce))"
    )
    op.execute("create index webhook_nonce_seen_at on webhook_nonce using brin (seen_at)")

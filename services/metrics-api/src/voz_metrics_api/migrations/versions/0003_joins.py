"""Customers that turned out to be one person."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        create table customer_join (
            tenant text not null,
            customer_key text not null,
            joined_to text not null,
            number bigint not null,
            primary key (tenant, customer_key)
        )
        """
    )
    op.execute("create index customer_join_joined_to on customer_join (tenant, joined_to)")

"""Events of each tenant in a day, which all processes count together."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "create table daily_usage ("
        " tenant text not null,"
        " day date not null,"
        " events bigint not null,"
        " primary key (tenant, day))"
    )

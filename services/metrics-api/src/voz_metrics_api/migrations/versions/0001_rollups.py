"""Rollups, case states, profiles and timelines."""

from alembic import op

from voz_streamkit.tables import create_streamkit_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

COUNTERS = (
    "volume",
    "inbound_messages",
    "complaints",
    "negative",
    "neutral",
    "positive",
    "scored",
    "score_micros",
    "judged",
    "hurt_complaint",
    "high_effort",
    "nps_promoters",
    "nps_passives",
    "nps_detractors",
    "csat_ratings",
    "csat_satisfied",
    "ces_answers",
    "ces_agree",
    "ces_micros",
    "cases_opened",
    "cases_answered",
    "cases_resolved",
)
WORDS = (
    "kind",
    "direction",
    "channel",
    "source",
    "language",
    "stage",
    "topic",
    "emotion",
    "sentiment",
    "product",
    "campaign",
    "segment",
    "queue",
    "audience",
)


def upgrade() -> None:
    create_streamkit_tables()
    op.execute(
        f"""
        create table dimension_set (
            tenant text not null,
            id uuid not null,
            {", ".join(f"{word} text not null" for word in WORDS)},
            intents text[] not null,
            primary key (tenant, id)
        )
        """
    )
    for level in ("minute", "hour", "day"):
        op.execute(
            f"""
            create table rollup_{level} (
                tenant text not null,
                bucket timestamptz not null,
                dimensions uuid not null,
                {", ".join(f"{counter} bigint not null" for counter in COUNTERS)},
                primary key (tenant, bucket, dimensions)
            ) partition by range (bucket)
            """
        )
        op.execute(
            f"""
            create table rollup_duration_{level} (
                tenant text not null,
                bucket timestamptz not null,
                dimensions uuid not null,
                measure text not null,
                bin smallint not null,
                n bigint not null,
                micros bigint not null,
                primary key (tenant, bucket, dimensions, measure, bin)
            ) partition by range (bucket)
            """
        )
    op.execute(
        """
        create table case_state (
            tenant text not null,
            case_id uuid not null,
            sequence bigint not null,
            dimensions uuid not null,
            opened_at timestamptz not null,
            resolved boolean not null,
            first_response_at timestamptz,
            first_resolved_at timestamptz,
            resolved_at timestamptz,
            primary key (tenant, case_id)
        )
        """
    )
    op.execute(
        """
        create table customer_profile (
            tenant text not null,
            customer_key text not null,
            first_seen timestamptz not null,
            last_seen timestamptz not null,
            events bigint not null,
            inbound bigint not null,
            negative bigint not null,
            neutral bigint not null,
            positive bigint not null,
            scored bigint not null,
            score_micros bigint not null,
            handles text[] not null,
            known jsonb not null,
            primary key (tenant, customer_key)
        )
        """
    )
    op.execute("create index customer_profile_handles on customer_profile using gin (handles)")
    op.execute(
        """
        create table touchpoint (
            tenant text not null,
            customer_key text not null,
            occurred_at timestamptz not null,
            event_id uuid not null,
            kind text not null,
            direction text not null,
            channel text not null,
            source text not null,
            audience text not null,
            language text not null,
            sentiment text not null,
            sentiment_score double precision,
            emotion text not null,
            intents text[] not null,
            topic text not null,
            effort text not null,
            stage text not null,
            conversation_id text not null,
            text text not null,
            details jsonb not null,
            primary key (tenant, customer_key, occurred_at, event_id)
        ) partition by range (occurred_at)
        """
    )
    for table in (
        *(f"rollup_{level}" for level in ("minute", "hour", "day")),
        *(f"rollup_duration_{level}" for level in ("minute", "hour", "day")),
        "touchpoint",
    ):
        op.execute(f"create table {table}_default partition of {table} default")

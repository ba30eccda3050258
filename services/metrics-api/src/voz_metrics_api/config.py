"""Settings of the service, from the environment: `VOZ_METRICS_API_…` and those that every service shares."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voz_streamkit.settings import DatabaseSettings


class MetricsApiSettings(DatabaseSettings):
    """Both processes: they must agree on what is kept."""

    model_config = SettingsConfigDict(env_prefix="VOZ_METRICS_API_")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    minutes_kept_days: int = Field(
        35,
        ge=2,
        le=400,
        description="Days that figures are kept by the minute: windows that reach further are rounded.",
    )
    hours_kept_days: int = Field(731, ge=35, le=4000, description="Days that figures are kept by the hour.")
    timeline_kept_days: int = Field(
        731, ge=1, le=4000, description="Days that the touchpoints of a customer's timeline are kept."
    )


class ServeSettings(MetricsApiSettings):
    """The process that answers."""

    port: int = Field(8003, ge=0, le=65535, description="Port of the HTTP interface.")
    keys_file: Path = Field(validation_alias="VOZ_KEYS_FILE", description="YAML file of API keys (`voz-keys new`).")
    drain_seconds: float = Field(
        0.0, ge=0, le=60, description="Time between saying not ready and closing, for load balancers to notice."
    )
    query_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="A question that takes longer is given up: 503."
    )
    max_streams: int = Field(200, ge=1, le=10_000, description="Server-sent event streams at a time; more get 503.")
    stream_interval_seconds: float = Field(
        0.5, gt=0, le=60, description="Least time between two looks at the figures of one stream."
    )
    gauge_interval_seconds: float = Field(
        15.0, gt=0, le=3600, description="Time between two refreshes of the KPI gauges at /metrics."
    )
    customer_gauge_interval_seconds: float = Field(
        300.0, gt=0, le=86_400, description="Time between two counts of customers by stage at /metrics."
    )
    at_risk_days: int = Field(
        90,
        validation_alias="VOZ_AT_RISK_DAYS",
        ge=1,
        le=3650,
        description="Days without a sign of a customer in onboard, use, renew or advocate that put them at risk.",
    )
    gauge_tenants: int = Field(50, ge=1, le=1000, description="Tenants with gauges: those with the most events.")


class ConsumeSettings(MetricsApiSettings):
    """The process that counts."""

    ops_port: int = Field(8013, ge=0, le=65535, description="Port of the consumer's health and metrics.")
    max_batch_records: int = Field(1000, ge=1, le=10_000, description="Records of one transaction at most.")
    max_wait_seconds: float = Field(
        0.1, gt=0, le=5, description="How long a batch waits to fill: freshness costs this."
    )
    ids_kept_days: int = Field(
        35, ge=31, le=400, description="Days that applied event ids are kept: longer than Kafka keeps the events."
    )

"""Settings of ingest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from voz_streamkit.settings import DatabaseSettings, ServiceSettings


class Settings(ServiceSettings):
    """What can be set, with what it means and how far."""

    model_config = SettingsConfigDict(env_prefix="VOZ_INGEST_")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8001, ge=0, le=65535, description="Port to listen on.")
    keys_file: Path = Field(
        validation_alias="VOZ_KEYS_FILE",
        description="API keys, YAML; read again when it changes. `voz-keys new` makes entries.",
    )
    connections_file: Path | None = Field(
        None,
        validation_alias="VOZ_CONNECTIONS_FILE",
        description="Connections to sources, and what each tenant may send, YAML; read again when it changes.",
    )
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^/?#]+(/[^?#]*)?)?$",
        description="How sources reach this service from outside, where a proxy stands before it: some sign the URL.",
    )
    postgres_dsn: SecretStr | None = Field(
        None,
        validation_alias="VOZ_POSTGRES_DSN",
        description="PostgreSQL: links between identities, announcements that are to be fetched, daily quotas shared by"
        " all processes. Without it there are none of the first two, and each process counts by itself.",
    )
    private_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="Hosts (or `host:port`), separated by commas, that may have private addresses and no TLS."
        " Everything else that ingest asks is public and encrypted.",
    )
    max_body_bytes: int = Field(
        16 << 20, ge=1024, le=1 << 30, description="Largest body that isn't a stream; above it: 413."
    )
    max_batch_events: int = Field(
        10_000, ge=1, le=1_000_000, description="Most events of one array or CloudEvents batch; above it: 413."
    )
    max_stream_bytes: int = Field(256 << 20, ge=1024, description="Largest NDJSON stream; above it: 413.")
    max_stream_events: int = Field(
        100_000, ge=1, le=10_000_000, description="Most events of one NDJSON stream; above it: 413."
    )
    max_line_bytes: int = Field(
        4 << 20, ge=1024, le=64 << 20, description="Longest line of an NDJSON stream; a longer one is rejected."
    )
    max_text_bytes: int = Field(
        256 << 10,
        ge=1,
        le=256 << 10,
        description="Longest text or survey comment, bytes in UTF-8; a longer one is rejected.",
    )
    max_in_flight_bytes: int = Field(
        64 << 20,
        ge=1 << 20,
        description="Bytes received and not yet acknowledged by Kafka that one process holds; above it: 503.",
    )
    delivery_timeout_seconds: float = Field(
        5.0, gt=0, le=120, description="How long Kafka may take to acknowledge; above it: 503."
    )
    rate_events_per_second: float = Field(
        100_000.0, gt=0, description="Events a tenant may send to one process in the long run; above it: 429."
    )
    rate_burst_events: float = Field(200_000.0, ge=1, description="Events a tenant may send at once.")
    max_connections: int = Field(
        1000,
        ge=1,
        description="Connections at a time; above it the longest idle one is closed, or the new one refused.",
    )
    head_timeout_seconds: float = Field(10.0, gt=0, description="How long a request's headers may take; above it: 408.")
    body_timeout_seconds: float = Field(
        20.0,
        gt=0,
        description="How long a request's body may take, and a second more for every 500 bytes; above it: 408.",
    )
    drain_seconds: float = Field(
        0.0, ge=0, le=60, description="Time between saying not ready and closing, for load balancers to notice."
    )

    @field_validator("private_hosts", mode="before")
    @classmethod
    def _split(cls, said: object) -> object:
        return (
            frozenset(each.strip().lower() for each in said.split(",") if each.strip())
            if isinstance(said, str)
            else said
        )

    def database(self) -> DatabaseSettings | None:
        """What a connection to PostgreSQL needs; None without one."""
        return (
            DatabaseSettings.model_validate({**self.model_dump(), "postgres_pool_size": 4})
            if self.postgres_dsn
            else None
        )


class ConnectSettings(DatabaseSettings):
    """`voz-ingest connect`: the process that asks sources."""

    model_config = SettingsConfigDict(env_prefix="VOZ_INGEST_")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    connect_port: int = Field(8013, ge=0, le=65535, description="Port of health and metrics.")
    connections_file: Path = Field(
        validation_alias="VOZ_CONNECTIONS_FILE",
        description="Connections to sources, YAML; read again when it changes.",
    )
    private_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="Hosts (or `host:port`), separated by commas, that may have private addresses and no TLS."
        " Everything else that ingest asks is public and encrypted.",
    )
    max_text_bytes: int = Field(
        256 << 10,
        ge=1,
        le=256 << 10,
        description="Longest text or survey comment, bytes in UTF-8; a longer one is rejected.",
    )
    max_in_flight_bytes: int = Field(
        64 << 20, ge=1 << 20, description="Bytes on their way to Kafka that one process holds."
    )
    delivery_timeout_seconds: float = Field(
        5.0, gt=0, le=120, description="How long Kafka may take to acknowledge before the connector tries again."
    )
    connect_lease_seconds: float = Field(
        30.0, ge=1, le=3600, description="How long after a process has died another one takes its connectors over."
    )
    connect_max_connectors: int = Field(
        100, ge=1, le=10_000, description="Connectors that one process runs at most; the rest is for other processes."
    )
    connect_max_backoff_seconds: float = Field(
        900.0, gt=0, le=86_400, description="Longest wait after failures, unless the source says a longer one."
    )
    connect_request_seconds: float = Field(
        60.0, gt=0, le=600, description="How long a source may take for one whole answer."
    )
    connect_drain_seconds: float = Field(
        15.0, ge=0, le=300, description="How long connectors may take to finish their page when the process stops."
    )
    announcement_attempts: int = Field(
        12, ge=1, le=100, description="After how many attempts what a webhook announced is given up, and put aside."
    )
    announcement_poll_seconds: float = Field(
        1.0, gt=0, le=60, description="How often new announcements are looked for while there are none."
    )

    @field_validator("private_hosts", mode="before")
    @classmethod
    def _split(cls, said: object) -> object:
        if not isinstance(said, str):
            return said
        return frozenset(each.strip().lower() for each in said.split(",") if each.strip())

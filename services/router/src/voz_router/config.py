"""Settings of the router, read once from the environment in `main.py`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from voz_streamkit.settings import DatabaseSettings

DEFAULT_POLICY = Path(__file__).with_name("default_policy.yaml")


class RouterSettings(DatabaseSettings):
    """What every process of the router needs."""

    model_config = SettingsConfigDict(env_prefix="VOZ_ROUTER_")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    policy_file: Path | None = Field(
        None,
        validation_alias="VOZ_POLICY_FILE",
        description="The policy, read again when it changes. Unset: the one that comes with the router.",
    )
    reload_seconds: float = Field(1.0, gt=0, le=300, description="How often files are looked at for changes.")
    relay_poll_seconds: float = Field(0.1, gt=0, le=10, description="How often the outbox is looked at.")
    decisions_keep_days: int = Field(90, ge=1, le=3660, description="Decisions are dropped after this time.")
    cases_keep_days: int = Field(
        400, ge=7, le=3660, description="Cases resolved longer ago, and their messages and history, are dropped."
    )
    applied_ids_keep_days: int = Field(
        37,
        ge=31,
        le=3660,
        description="Ids of applied events are forgotten after this time: longer than voz.enriched is kept (30 days).",
    )

    @property
    def policy_path(self) -> Path:
        """The policy file to read."""
        return self.policy_file or DEFAULT_POLICY


class ServeSettings(RouterSettings):
    """`voz-router serve`: the HTTP interface."""

    port: int = Field(8002, ge=0, le=65535, description="Port of the HTTP interface.")
    keys_file: Path = Field(validation_alias="VOZ_KEYS_FILE", description="API keys, read again when they change.")
    drain_seconds: float = Field(
        0.0, ge=0, le=60, description="Between not ready and closing, so that load balancers notice."
    )


class ConsumeSettings(RouterSettings):
    """`voz-router consume`: the stream."""

    ops_port: int = Field(8012, ge=0, le=65535, description="Port of health and metrics.")
    max_batch: int = Field(1000, ge=1, le=10_000, description="Most records in one transaction.")

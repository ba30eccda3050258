"""Settings that every service shares, read once from the environment in `main.py`."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from voz_contracts.topics import QUEUE, TopicSpec


class ServiceSettings(BaseSettings):
    """The part of a service's settings that has the same name everywhere.

    A service subclasses it and sets its own `env_prefix` (`VOZ_INGEST_` …); the fields here keep their names.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    kafka_bootstrap: str = Field(
        "127.0.0.1:9092",
        validation_alias="VOZ_KAFKA_BOOTSTRAP",
        min_length=1,
        description="Kafka brokers to ask first, `host:port`, separated by commas.",
    )
    kafka_replication_factor: int = Field(
        1,
        validation_alias="VOZ_KAFKA_REPLICATION_FACTOR",
        ge=1,
        le=5,
        description="Copies of each partition of topics that Voz makes (3 in production).",
    )
    topic_prefix: str = Field(
        "",
        validation_alias="VOZ_TOPIC_PREFIX",
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="Put in front of every topic and consumer group, so that several installations share one cluster.",
    )
    log_level: str = Field(
        "INFO",
        validation_alias="VOZ_LOG_LEVEL",
        pattern=r"^(DEBUG|INFO|WARNING|ERROR)$",
        description="DEBUG, INFO, WARNING or ERROR.",
    )
    otlp_endpoint: str | None = Field(
        None,
        validation_alias="VOZ_OTLP_ENDPOINT",
        description="OTLP/HTTP endpoint for traces, such as http://collector:4318. Empty: no traces are exported.",
    )

    def topic(self, topic: TopicSpec | str) -> str:
        """The topic's name in this installation."""
        return self.topic_prefix + (topic if isinstance(topic, str) else topic.name)

    def queue_topic(self, queue: str) -> str:
        """The topic of one queue in this installation."""
        return self.topic(QUEUE.name.replace("<queue>", queue))


class DatabaseSettings(ServiceSettings):
    """A service that keeps its state in PostgreSQL."""

    postgres_dsn: SecretStr = Field(
        validation_alias="VOZ_POSTGRES_DSN",
        description="PostgreSQL, `postgresql://user:password@host:port/database`.",
    )
    postgres_pool_size: int = Field(
        10,
        validation_alias="VOZ_POSTGRES_POOL_SIZE",
        ge=1,
        le=100,
        description="Connections that one process holds at most.",
    )


def describe(settings: type[BaseSettings]) -> str:
    """The variables of a settings class, one a line: name, default, meaning. For `--help` and the service's README."""
    prefix = settings.model_config.get("env_prefix", "")
    lines = []
    for name, field in settings.model_fields.items():
        variable = field.validation_alias if isinstance(field.validation_alias, str) else (prefix + name).upper()
        default = (
            "required" if field.is_required() else f"default {_shown(field.get_default(call_default_factory=True))}"
        )
        lines.append(f"  {variable:<36} {field.description or ''} ({default})")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return "none" if value is None else "empty" if value == "" else str(value)

"""Settings of enrich, read once from the environment in `main.py`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from voz_enrich.adapters.outbound.hf_model import parse_label_map
from voz_enrich.adapters.outbound.models import DEFAULT_MODEL
from voz_enrich.cores import available_cores
from voz_enrich.domain.journey import AT_RISK_DAYS
from voz_streamkit.settings import ServiceSettings


class EnrichSettings(ServiceSettings):
    """What `voz-enrich worker` reads."""

    model_config = SettingsConfigDict(env_prefix="VOZ_ENRICH_", frozen=True, extra="ignore", populate_by_name=True)

    model: str = Field(
        DEFAULT_MODEL,
        pattern=r"^(bundle|hf):.+",
        description="bundle:<name or folder>, or hf:<name or folder> for a Hugging Face sequence-classification model.",
    )
    label_map: str = Field(
        "",
        description="For hf models: what its labels mean, such as LABEL_0=negative,LABEL_1=neutral,LABEL_2=positive.",
    )
    shadow_model: str = Field(
        "",
        pattern=r"^((bundle|hf):.+)?$",
        description="A second model that answers beside the first, for comparison only; named as it is. Empty: none.",
    )
    shadow_label_map: str = Field("", description="What the labels of the second model mean, where it is an hf model.")
    shadow_share: float = Field(
        0.1, ge=0, le=1, description="Share of the texts that the second model answers too, chosen by the event's id."
    )
    models_dir: Path | None = Field(
        None,
        validation_alias="VOZ_MODELS_DIR",
        description="Folder of the model bundles; by default the one found nearby.",
    )
    topics: Path | None = Field(
        None,
        description="YAML file of companies' own topics, read again when it changes. Empty: none.",
    )
    threads: int = Field(
        default_factory=available_cores,
        ge=1,
        le=64,
        description="Threads of the model; by default the cores it may use.",
    )
    batch_events: int = Field(64, ge=1, le=512, description="Events in one micro-batch at most.")
    batch_wait_seconds: float = Field(
        0.02, gt=0, le=1, description="How long a micro-batch waits for more events after its first, seconds."
    )
    batches_ahead: int = Field(3, ge=1, le=16, description="Micro-batches analysed or waiting at one time.")
    session_seconds: float = Field(
        10.0,
        ge=3,
        le=300,
        description="Kafka session: a worker that is silent for so long loses its partitions. The brokers' "
        "group.min.session.timeout.ms must allow it.",
    )
    instance_id: str = Field(
        "",
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="Static membership: a fixed name of this worker, unique in the installation, such as its pod's. A "
        "worker that returns under it within the session gets its partitions back at once. Empty: dynamic.",
    )
    idle_seconds: float = Field(
        2.0,
        ge=0.2,
        le=60,
        description="Due events that are not delivered for so long are read from the source, seconds.",
    )
    at_risk_days: int = Field(
        AT_RISK_DAYS,
        validation_alias="VOZ_AT_RISK_DAYS",
        ge=1,
        le=3650,
        description="Days without a sign of a customer in onboard, use, renew or advocate that put them at risk.",
    )
    dead_letter_ratio: float = Field(
        0.1, gt=0, le=1, description="Share of invalid events of the last 1,000 above which the worker stops."
    )
    host: str = Field("127.0.0.1", description="Where health and metrics are served.")
    port: int = Field(8011, ge=0, le=65535, description="Port of health and metrics; 0 for any free one.")

    @field_validator("label_map", "shadow_label_map")
    @classmethod
    def _reads_as_a_label_map(cls, text: str) -> str:
        parse_label_map(text)
        return text

"""Alembic's entry: the history of schema `metrics`."""

from voz_metrics_api.adapters.outbound.tables import SCHEMA, metadata
from voz_streamkit.alembic_env import run

run(SCHEMA, metadata)

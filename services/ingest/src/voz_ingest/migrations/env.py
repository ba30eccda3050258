"""Ingest's schema is migrated as every service's is."""

from voz_ingest.adapters.outbound.tables import SCHEMA, metadata
from voz_streamkit.alembic_env import run

run(SCHEMA, metadata)

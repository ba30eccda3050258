"""Who calls ingest, and in which forms."""

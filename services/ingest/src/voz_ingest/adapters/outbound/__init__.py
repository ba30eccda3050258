"""What ingest calls."""

"""What ingest speaks with."""

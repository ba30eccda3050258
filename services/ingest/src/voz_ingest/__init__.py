"""ingest: accepts events over HTTP and answers once Kafka has replicated them."""

"""Where the service meets HTTP, Kafka and PostgreSQL."""

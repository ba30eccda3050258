"""What the router calls: PostgreSQL, and through its outbox Kafka."""

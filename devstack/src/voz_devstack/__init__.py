"""Voz on one machine: real Kafka, real PostgreSQL and a supervisor, all from Python packages."""

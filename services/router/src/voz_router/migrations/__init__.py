"""Alembic history of the schema `router`."""

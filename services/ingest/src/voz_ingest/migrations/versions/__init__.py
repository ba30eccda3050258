"""Revisions of the schema `ingest`."""

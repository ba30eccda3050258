"""Revisions of the schema `router`."""

"""Bytes and requests coming in."""

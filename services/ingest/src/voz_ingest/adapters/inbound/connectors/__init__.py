"""Connectors: what asks sources for what is new, one of each at a time, and never forgets where it stands."""

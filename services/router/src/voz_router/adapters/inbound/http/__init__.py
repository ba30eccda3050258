"""The HTTP interface of the router."""

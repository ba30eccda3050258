"""HTTP: `POST /v1/events`."""

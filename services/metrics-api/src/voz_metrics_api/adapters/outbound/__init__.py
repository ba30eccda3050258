"""PostgreSQL and Prometheus."""

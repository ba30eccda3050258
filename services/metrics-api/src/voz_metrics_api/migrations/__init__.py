"""The history of schema `metrics`."""

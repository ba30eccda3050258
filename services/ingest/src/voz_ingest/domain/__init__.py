"""What is true of an event, of a tenant's rate and of memory: frozen values and pure functions."""

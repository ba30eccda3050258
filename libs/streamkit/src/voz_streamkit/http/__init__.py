"""What Voz's HTTP services share: problem details, API keys, paging, health and metrics routes, graceful serving."""

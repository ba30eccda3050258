"""What calls the router: Kafka records, HTTP requests, the policy file."""

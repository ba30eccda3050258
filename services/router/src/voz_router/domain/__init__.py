"""What is true of policies, decisions and cases; pure."""

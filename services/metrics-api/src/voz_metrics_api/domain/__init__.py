"""What is true: frozen values and pure functions over the standard library only."""

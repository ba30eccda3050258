"""Between the router and the world."""

"""Voz's router: decides for each enriched event when to act, opens cases, and lets people work their queues."""

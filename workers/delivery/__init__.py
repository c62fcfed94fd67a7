"""Deliveries on their way out: whose turn it is, what is sent, and how it went."""

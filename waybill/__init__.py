"""What producers import: the client, and the rules for polling a receipt."""

__version__ = "0.1.0"

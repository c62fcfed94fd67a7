"""What GET /metrics says: figures of all processes together, and this process's requests."""

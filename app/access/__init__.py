"""Who may do what: keys, permissions, and the memory of idempotency keys."""

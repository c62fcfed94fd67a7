"""What every route stands on: callers, bodies, lists, errors, idempotency, limits."""

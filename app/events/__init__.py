"""What happened, as others are told of it, and the outbox that keeps it until they are."""

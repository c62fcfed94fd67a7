"""What the client does, without doing it: each call as a flow of steps."""

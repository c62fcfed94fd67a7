"""The embedded default: servers from wheels, and what keeps all processes running."""

"""Webhooks: endpoints that somebody registered, what they ask for, and the secrets that sign."""

"""The public client package `mixpeek`, unmodified, with its base URL set to ours."""

"""The commands that speak to a server through the client: one file a group."""

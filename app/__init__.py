"""The API process, and the core that it shares with the workers."""

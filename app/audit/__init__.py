"""Reads all that the stores hold and names every rule that something in them breaks."""

"""Runs for people: pages, statistics, and no longer than they wait."""

"""Clusters: how documents are grouped, and what each execution found."""

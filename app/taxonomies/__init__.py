"""Taxonomies: nodes that documents are assigned to, in versions."""

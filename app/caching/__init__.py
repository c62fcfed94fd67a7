"""Answers about documents, kept in Redis until the documents change."""

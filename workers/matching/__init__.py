"""Documents against the nodes of a taxonomy: exact cosine similarity in bounded steps."""

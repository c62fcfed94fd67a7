"""What runs after a batch: the taxonomies and clusters that its collections name."""

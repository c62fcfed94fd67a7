"""Events on their way: a delivery for each target, its attempts, and whose turn it is to send."""

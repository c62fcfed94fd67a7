"""Buckets and namespaces with all that is in them: out of sight at once, deleted by a task."""

"""What tasks work on: namespaces, buckets, objects, batches, collections, documents."""

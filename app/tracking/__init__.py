"""ProcessingTracker: every run of a processor, one row of datastore.processing_events."""

"""No-op jobs a second, ours and those of other systems, drained from a full queue."""

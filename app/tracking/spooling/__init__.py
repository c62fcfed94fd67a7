"""From the workers to the table by way of a disk, so that no job waits for PostgreSQL."""

"""The core: receipts in MongoDB, their copies in Redis, leases, families, messages."""

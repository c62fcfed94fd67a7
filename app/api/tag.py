"""What the OpenAPI document says of the API as a whole, and of each group of routes."""

from typing import Final

DESCRIPTION: Final = """\
A durable receipt for every long-running Celery job: one status, one API to read, list, suspend and
kill it, and a full history.

Send an API key as `Authorization: Bearer sk_…`, and the id or name of a namespace as `X-Namespace`;
without it, requests work in the namespace `default`. Nothing of one namespace is ever seen from
another: what lies there is answered with 404.

Every failed answer has one shape, `Problem`. A POST that creates or submits takes an
`Idempotency-Key`. Lists take filters, an order and a cursor; `next_cursor` of one page is the
`cursor` of the next.
"""

TAGS: Final = [
    {"name": "tasks", "description": "Run requests and their receipts."},
    {"name": "runs", "description": "What ran, how long and how well: a row for each attempt."},
    {"name": "batches", "description": "Objects of a bucket on their way to documents."},
    {"name": "namespaces", "description": "Tenants: everything else belongs to exactly one."},
    {"name": "buckets", "description": "Sets of objects under one schema."},
    {"name": "objects", "description": "What users put into buckets."},
    {"name": "collections", "description": "What an extractor makes of the objects of buckets."},
    {"name": "documents", "description": "What extractors made of objects: read, count, sum up."},
    {"name": "clusters", "description": "Documents grouped by their vectors or their values."},
    {"name": "taxonomies", "description": "Nodes, and the documents assigned to them."},
    {"name": "migrations", "description": "A namespace copied, extended or extracted anew."},
    {"name": "webhooks", "description": "Endpoints that are told of events, and their log."},
    {"name": "keys", "description": "API keys: permissions, scopes, rotation. For admin keys."},
    {"name": "health", "description": "Whether every part answers. Open without a key."},
]

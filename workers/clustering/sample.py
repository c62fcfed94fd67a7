"""A sample of documents that the same seed and ids always give again."""

import heapq
from collections.abc import Iterable
from hashlib import blake2b


def sample(document_ids: Iterable[str], size: int, seed: int) -> list[str]:
    """`size` of the ids at most, in the order given, each as likely as any other.

    Those of the smallest keyed hashes: the ids pass by in a stream, and a document that is added
    changes at most one of the sample.
    """
    key = seed.to_bytes(8, "big", signed=True)
    hashed = (
        (blake2b(document_id.encode(), digest_size=8, key=key).digest(), place, document_id)
        for place, document_id in enumerate(document_ids)
    )
    chosen = heapq.nsmallest(size, hashed)
    return [document_id for _, _, document_id in sorted(chosen, key=lambda found: found[1])]

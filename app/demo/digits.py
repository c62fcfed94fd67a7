"""The input: the 1,797 handwritten digits that scikit-learn ships, as PNG images with labels.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
Learning Repository.
"""

import base64
import io
import time
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from app.demo.terminal import console
from waybill import Client


def create_bucket(client: Client) -> str:
    schema = {
        "properties": {
            "image": {"type": "image", "required": True},
            "label": {"type": "integer", "required": True},
        }
    }
    name = f"digits-{int(time.time())}"
    bucket = client.buckets.create(name, bucket_schema=schema)
    console.print(f"Bucket {bucket['bucket_id']}: objects with an image and a label.")
    return bucket["bucket_id"]


def create_collection(client: Client, bucket_id: str) -> str:
    collection = client.collections.create(
        f"digit-shapes-{int(time.time())}",
        bucket_ids=[bucket_id],
        feature_extractor={
            "feature_extractor_name": "image",
            "input_mappings": {"image": "image"},
        },
    )
    console.print(f"Collection {collection['collection_id']}: the image extractor's vectors.")
    return collection["collection_id"]


def import_digits(client: Client, bucket_id: str) -> list[str]:
    digits = load_digits()
    objects = [
        {
            "key_prefix": f"digit/{index}",
            "blobs": [{"property": "image", "type": "image", "data": _png(pixels)}],
            "label": int(label),
        }
        for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True))
    ]
    stored = client.objects.create_many(bucket_id, objects)["succeeded"]
    console.print(f"Imported {len(stored):,} handwritten digits as PNG images.")
    return [one["object_id"] for one in stored]


def _png(pixels: "np.ndarray[Any, np.dtype[np.float64]]") -> str:
    """The base64 of an 8×8 grey PNG; the digits' intensities go from 0 to 16."""
    image = Image.fromarray(np.rint(pixels * (255 / 16)).astype(np.uint8))
    content = io.BytesIO()
    image.save(content, format="PNG")
    return base64.b64encode(content.getvalue()).decode()

"""Objects whose contents lie on a web server and in S3, as users bring them."""

import io
from collections.abc import Mapping

import pytest
from PIL import Image

from tests.acceptance.shop import Shop
from tests.s3_server import READABLE, S3Server
from tests.web import Web
from waybill import Client
from waybill.types import JsonObject

pytestmark = pytest.mark.timeout(240)

SCHEMA = {"properties": {"body": {"type": "text"}, "picture": {"type": "image"}}}


def by_url(**urls: str) -> JsonObject:
    """An object whose properties lie at these URLs."""
    types = {"body": "text", "picture": "image"}
    return {
        "blobs": [{"property": name, "type": types[name], "url": url} for name, url in urls.items()]
    }


def picture(shade: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (32, 32), shade).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def gallery(client: Client) -> Shop:
    """A bucket whose texts and images are read by a collection each."""
    shop = Shop.open(client, SCHEMA)
    client.collections.create(
        "pictures",
        bucket_ids=[shop.bucket_id],
        feature_extractor={
            "feature_extractor_name": "image",
            "parameters": {},
            "input_mappings": {"image": "picture"},
        },
    )
    return shop


def reasons(shop: Shop, batch: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """Type and sentence of each failed object of the batch."""
    failed = shop.client.batches.failed_documents(shop.bucket_id, str(batch["batch_id"]))
    return {row["object_id"]: (row["error_type"], row["reason"]) for row in failed}


def test_texts_and_images_come_from_the_web_and_from_s3(
    gallery: Shop, web: Web, s3_server: S3Server
) -> None:
    pictures = {f"gallery/{n}.png": picture(n * 10) for n in range(20)}
    s3_server.put(pictures)
    ids = gallery.add(
        by_url(body=web.put(f"/gallery/{n}.txt", f"note {n}".encode()), picture=f"s3://{READABLE}/{k}")
        for n, k in enumerate(pictures)
    )  # fmt: skip
    batch, receipt = gallery.process(ids)
    assert receipt["status"] == "COMPLETED"
    assert receipt["outputs"] == [
        {"chunks": 1, "objects": 20, "succeeded": 20, "failed": 0, "documents": 40}
    ]
    assert reasons(gallery, batch) == {}


def test_what_cannot_be_read_is_told_by_object_and_the_batch_completes(
    shop: Shop, web: Web, s3_server: S3Server
) -> None:
    s3_server.put({"notes/a.txt": b"a note in S3"})
    good = [web.put("/notes/a.txt", b"a note"), f"s3://{READABLE}/notes/a.txt"]
    bad = {
        f"s3://{READABLE}/notes/none.txt": "S3 has no object under the key of the s3:// URL",
        web.url("/notes/none.txt"): "the server of the https:// URL answered 404, not 200",
        web.url("/notes/a.txt", host="localhost"): "the URL leads to an address that may not",
    }
    ids = shop.add(by_url(body=url) for url in [*good, *bad])
    batch, receipt = shop.process(ids)
    assert receipt["status"] == "COMPLETED"
    assert receipt["outputs"][0]["succeeded"] == len(good)
    told = reasons(shop, batch)
    assert told.keys() == set(ids[len(good) :])
    for object_id, said in zip(ids[len(good) :], bad.values(), strict=True):
        assert told[object_id][0] == "unreadable"
        assert said in told[object_id][1]


def test_a_url_that_may_never_be_read_is_refused_with_its_object(shop: Shop, web: Web) -> None:
    urls = {
        "https://127.0.0.1/latest/meta-data": "an address that may not be called from here",
        "https://169.254.169.254/latest/meta-data": "an address that may not be called from here",
        web.url("/a", host="user:secret@127.0.0.2"): "no user name and no password",
        "http://example.org/a": "cannot be read",
        "s3://elsewhere/a": "names nothing in the buckets of WAYBILL_S3_BUCKETS",
    }
    asked = len(web.asked)
    answer = shop.client.objects.create_many(shop.bucket_id, [by_url(body=url) for url in urls])
    assert answer["succeeded"] == []
    for failed, said in zip(answer["failed"], urls.values(), strict=True):
        assert said in str(failed)
    assert len(web.asked) == asked

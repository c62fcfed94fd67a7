"""Objects whose contents lie elsewhere: read side by side, in order, within bounds."""

import threading
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_network

import pytest

from app.database import Document
from app.egress.guard import Guard
from app.errors import TransientError
from app.fetch.https import Egress, HttpsReader
from app.fetch.reader import ContentReader
from app.resources.extraction import PAGE_OBJECTS, FailedDocument, Found
from app.resources.property import Property, PropertyType
from app.resources.schema import BucketSchema
from tests.web import ADDRESS, Answer, Web
from workers.jobs.loading import (
    GONE,
    OBJECT_BYTES,
    SIDE_BY_SIDE,
    SLICE_BYTES,
    TOO_MUCH,
    Lack,
    Loaded,
    LoadedObject,
    Loader,
)

SCHEMA = BucketSchema(
    {
        "body": Property(PropertyType.TEXT),
        "other": Property(PropertyType.TEXT),
        "data": Property(PropertyType.JSON),
    }
    | {f"part_{n}": Property(PropertyType.TEXT) for n in range(5)}
)


def loader(web: Web, *properties: str, is_last_attempt: bool = False) -> Loader:
    guard = Guard((ip_network(ADDRESS),), frozenset({web.port}))
    egress = Egress(guard, web.ca_file, 60.0)
    reader = ContentReader({"https": HttpsReader(egress, 12 * 1024 * 1024)})
    return Loader(SCHEMA, properties or {"body"}, reader, is_last_attempt=is_last_attempt)


def slices(loader: Loader, *pages: list[Found]) -> list[list[Loaded]]:
    with closing(loader.slices(pages)) as made:
        return list(made)


def stored(object_id: str, url: str, **more: object) -> Found:
    blob: Document = {"property": "body", "type": "text", "url": url, **more}
    return object_id, {"_id": object_id, "fields": {}, "metadata": {}, "blobs": [blob]}


def ids(loaded: list[Loaded]) -> list[str]:
    return [one.object_id for one in loaded]


def values(loaded: list[Loaded]) -> list[object]:
    assert all(isinstance(one, LoadedObject) for one in loaded)
    return [one.values.get("body") for one in loaded if isinstance(one, LoadedObject)]


@pytest.fixture
def meeting(web: Web) -> Iterator[None]:
    """No request is answered before as many are there as may be read side by side."""
    web.meeting = threading.Barrier(SIDE_BY_SIDE)
    yield
    web.meeting = None


@pytest.mark.usefixtures("meeting")
def test_as_many_reads_are_under_way_as_may_be_and_the_order_stays(web: Web) -> None:
    count = 2 * PAGE_OBJECTS
    texts = [f"text {n}" for n in range(count)]
    found = [stored(str(n), web.put(f"/load/{n}", text.encode())) for n, text in enumerate(texts)]
    made = slices(loader(web), found[:PAGE_OBJECTS], found[PAGE_OBJECTS:])
    assert [len(each) for each in made] == [PAGE_OBJECTS, PAGE_OBJECTS]
    assert [value for each in made for value in values(each)] == texts


@pytest.mark.parametrize("kind", [{}, {"property": "data", "type": "json"}])
def test_a_slice_is_cut_where_its_bytes_are_enough(web: Web, kind: dict[str, str]) -> None:
    size = SLICE_BYTES // 20
    urls = [web.put(f"/load/large/{n}", b'["%b"]' % (b"x" * size)) for n in range(50)]
    found = [stored(str(n), url, **kind) for n, url in enumerate(urls)]
    made = slices(loader(web, "body", "data"), found)
    assert [name for each in made for name in ids(each)] == [str(n) for n in range(50)]
    assert len(made) > 1
    # Those under way when the bound was reached are held too, and no others.
    assert all(len(each) <= 20 + SIDE_BY_SIDE for each in made)


def test_of_one_object_only_so_much_is_read(web: Web) -> None:
    """Whatever its properties are: they are held together."""
    url = web.put("/load/part", b"x" * (OBJECT_BYTES // 3))
    names = [f"part_{n}" for n in range(5)]
    blobs = [{"property": name, "type": "text", "url": url} for name in names]
    found: Found = "a", {"_id": "a", "fields": {}, "metadata": {}, "blobs": blobs}
    [[made]] = slices(loader(web, *names), [found])
    assert isinstance(made, LoadedObject)
    assert list(made.values) == names[:4]
    assert made.lacks == {"part_4": Lack("unreadable", TOO_MUCH)}


def test_what_fails_for_good_fails_its_object_alone(web: Web) -> None:
    good = web.put("/load/good", b"good")
    binary = web.put("/load/binary", b"\xff\xfe\xfd")
    found: list[Found] = [
        stored("good", good),
        stored("missing", web.url("/load/missing")),
        ("deleted", None),
        stored("refused", web.url("/load/good", host="localhost")),
        stored("binary", binary),
        stored("unknown", good, property="unheard of"),
        stored("unread", web.url("/load/missing"), property="other"),
    ]
    [made] = slices(loader(web), found)
    assert ids(made) == [name for name, _ in found]
    assert made[2] == FailedDocument("deleted", None, "deleted", GONE)
    lacks = {one.object_id: one.lacks for one in made if isinstance(one, LoadedObject)}
    reasons = {name: each["body"].reason for name, each in lacks.items() if each}
    assert reasons.keys() == {"missing", "refused", "binary"}
    assert "answered 404" in reasons["missing"]
    assert "may not be called" in reasons["refused"]
    assert "UTF-8" in reasons["binary"]
    assert isinstance(made[5], FailedDocument)
    assert made[5].error_type == "schema_violation"


def test_a_server_in_trouble_ends_the_attempt_and_on_the_last_one_the_object(web: Web) -> None:
    web.answers["/load/busy"] = Answer(status=503)
    good, busy = stored("a", web.put("/load/calm", b"calm")), stored("b", web.url("/load/busy"))
    with pytest.raises(TransientError, match="answered 503"):
        slices(loader(web), [good, busy])
    [made] = slices(loader(web, is_last_attempt=True), [good, busy])
    assert values(made) == ["calm", None]
    assert isinstance(made[1], LoadedObject)
    assert made[1].lacks == {
        "body": Lack("unavailable", "the server of the https:// URL answered 503")
    }

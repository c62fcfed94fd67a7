"""Taxonomies over HTTP, and their stores on a real MongoDB. No worker runs here."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import httpx
import numpy as np
import pytest
from pymongo.database import Database

from app.database import Document, transact
from app.errors import BadRequestError
from app.query.field import Location
from app.receipts.ledger import Ledger
from app.receipts.receipt import Receipt
from app.receipts.write import TRANSACTION
from app.resources.collection import CollectionStore
from app.resources.extractor import DEFAULT_LIMITS, EXTRACTORS
from app.stores import Stores
from app.taxonomies.descent import assign
from app.taxonomies.materialization import MaterializationStore, Wanted
from app.taxonomies.node import NodeStore
from app.taxonomies.placement import PlacementStore, Writer
from app.taxonomies.query import Query
from app.taxonomies.submission import sources_of
from app.taxonomies.trial import TrialStore
from tests.integration.resources import Json, error, made, places
from tests.integration.taxonomies import TaxonomyScene, add_collection, add_documents, at

FLAT: Json = {"source_collection": {"collection_id": "nodes", "label_field": "name"}}
FEATURE: Final = EXTRACTORS.build("tabular", {"fields": ["x", "y"]}).feature


@pytest.fixture
def namespace_id(stores: Stores) -> str:
    return stores.namespaces.ensure_default().namespace_id


@pytest.fixture
def nodes(database: Database[Document], namespace_id: str) -> list[str]:
    """The ids of two nodes of the collection `nodes`: east and north."""
    collection_id = add_collection(database, namespace_id, "nodes")
    rows = [at(0, name="east", tag="e"), at(90, name="north", tag="n")]
    return add_documents(database, namespace_id, collection_id, rows)


@pytest.fixture
def things(database: Database[Document], namespace_id: str) -> list[str]:
    """The ids of three documents of the collection `things`: about east, about north, nowhere."""
    collection_id = add_collection(database, namespace_id, "things")
    rows = [at(10), at(80), {"x": 0.0, "y": 0.0}]
    return add_documents(database, namespace_id, collection_id, rows)


def create(client: httpx.Client, name: str = "ways", config: Json | None = None) -> Json:
    body = {"taxonomy_name": name, "config": config or FLAT}
    return made(client.post("/v1/taxonomies", json=body))


def test_a_taxonomy_lives(client: httpx.Client, nodes: list[str]) -> None:
    created = create(client)
    assert created["taxonomy_id"].startswith("tax_")
    assert (created["version"], created["taxonomy_type"]) == (1, "flat")
    assert created["config"]["source_collection"]["collection_id"].startswith("col_")
    assert (created["config"]["top_k"], created["config"]["threshold"]) == (1, 0.0)
    for identifier in (created["taxonomy_id"], "ways"):
        found = made(client.get(f"/v1/taxonomies/{identifier}"))
        assert found == {**created, "materializations": []}
    body = {"taxonomy_name": "ways", "source_collection": "nodes"}
    error(client.post("/v1/taxonomies", json=body), 409, "AlreadyExistsError")

    following = {"config": {**FLAT, "threshold": 0.9, "top_k": 2}}
    headers = {"Idempotency-Key": "next"}
    url = "/v1/taxonomies/ways/versions"
    answers = [client.post(url, json=following, headers=headers) for _ in range(2)]
    assert [made(each)["version"] for each in answers] == [2, 2]
    listed = made(client.get(url))
    assert [each["version"] for each in listed["results"]] == [2, 1]
    assert listed["results"][1]["config"] == created["config"]
    old = made(client.get("/v1/taxonomies/ways", params={"version": 1}))
    assert (old["version"], old["latest_version"]) == (1, 2)
    error(client.get("/v1/taxonomies/ways", params={"version": 3}), 404, "NotFoundError")

    change = {"taxonomy_name": "roads", "description": "d"}
    changed = made(client.patch("/v1/taxonomies/ways", json=change))
    assert (changed["taxonomy_name"], changed["version"]) == ("roads", 2)
    filters = {"filters": {"taxonomy_type": "flat", "version": 2}}
    page = made(client.post("/v1/taxonomies/list", json=filters))
    assert [each["taxonomy_id"] for each in page["results"]] == [created["taxonomy_id"]]
    made(client.delete("/v1/taxonomies/roads"))
    error(client.get("/v1/taxonomies/roads"), 404, "NotFoundError")


WRONG: Final[Sequence[tuple[Json, Location]]] = [
    ({}, ()),
    ({**FLAT, "levels": [{"collection_id": "nodes"}]}, ()),
    ({**FLAT, "taxonomy_type": "hierarchical"}, ()),
    ({**FLAT, "top_k": 51}, ("top_k",)),
    ({**FLAT, "threshold": 1.5}, ("threshold",)),
    ({**FLAT, "llm_model": "x"}, ("llm_model",)),
    ({**FLAT, "step_analytics": {}}, ("step_analytics",)),
    ({"source_collection": "nowhere"}, ("source_collection", "collection_id")),
    (
        {"levels": [{"collection_id": "nodes", "parent_field": "name"}]},
        ("levels", 0, "parent_field"),
    ),
    ({"levels": [{"collection_id": "nodes"}] * 2}, ("config",)),
    (
        {"hierarchical_nodes": [{"collection_id": "nodes", "parent_collection_id": "texts"}]},
        ("hierarchical_nodes",),
    ),
    (
        {"source_collection": {"collection_id": "nodes", "label_field": "a.$b"}},
        ("source_collection", "label_field"),
    ),
    (
        {**FLAT, "input_mappings": [{"input_key": "z", "source_type": "payload", "path": "x"}]},
        ("input_mappings", 0, "input_key"),
    ),
    (
        {**FLAT, "input_mappings": [{"input_key": "x", "source_type": "blob", "path": "x"}]},
        ("input_mappings", 0, "source_type"),
    ),
    (
        {**FLAT, "input_mappings": [{"input_key": "x", "source_type": "literal"}]},
        ("input_mappings", 0, "override"),
    ),
]


def test_what_is_wrong_is_named(
    client: httpx.Client,
    database: Database[Document],
    namespace_id: str,
    nodes: list[str],
) -> None:
    add_collection(database, namespace_id, "texts")
    for config, place in WRONG:
        _is_named(client, config, place)


def _is_named(client: httpx.Client, config: Json, place: Location) -> None:
    body = {"taxonomy_name": "wrong", "config": config}
    found = error(client.post("/v1/taxonomies", json=body), 422, "ValidationError")
    wanted = ["body", *place]
    assert any(
        [part for part in each if part != "config" or place == ("config",)][: len(wanted)] == wanted
        for each in places(found)
    ), found


def test_a_trial_takes_ids_and_json_and_stores_nothing(
    client: httpx.Client, database: Database[Document], nodes: list[str], things: list[str]
) -> None:
    taxonomy = create(client, config={**FLAT, "threshold": 0.5, "retriever_id": "ret_1"})
    before = list(database["documents"].find(sort=[("_id", 1)]))
    bodies: list[Json] = [
        {"document_ids": things},
        {"documents": things, "collection_id": "things"},
        {"source_documents": [{"x": 2, "y": 0.1}, {"vectors": {"tabular": [0, 3]}}, {"x": 1}]},
    ]
    for body in bodies:
        for path in ("/v1/taxonomies/ways/execute", "/v1/taxonomies/execute/ways"):
            answer = made(client.post(path, json=body))
            labels = [[one["label"] for one in each["assignments"]] for each in answer["results"]]
            assert labels == [["east"], ["north"], []]
            assert answer["stats"]["enriched"] == 2
            assert [each["node_id"] for each in answer["matches"]] == nodes
            assert answer["matches"][0]["path"] == ["east"]
    assert list(database["documents"].find(sort=[("_id", 1)])) == before
    said = {"taxonomy_name": "ways", "version": 1, "config": taxonomy["config"]}
    body = {"source_documents": [{"x": 1, "y": 0}], "taxonomy": said}
    made(client.post("/v1/taxonomies/ways/execute", json=body))
    for wrong, status in (
        ({}, 422),
        ({"documents": [*things, *things]}, 422),
        ({"documents": ["doc_none"]}, 404),
        ({"documents": things, "collection_id": "nodes"}, 404),
        ({"documents": [{"vectors": {"tabular": [1]}}]}, 422),
        ({"documents": things, "taxonomy": {"taxonomy_name": "other"}}, 422),
        ({"documents": things, "taxonomy": {"config": {**FLAT, "top_k": 3}}}, 422),
        ({"documents": things, "target_collection_id": "x"}, 422),
    ):
        assert client.post("/v1/taxonomies/ways/execute", json=wrong).status_code == status, wrong


def test_a_trial_that_would_take_too_long_says_so(database: Database[Document]) -> None:
    scene = TaxonomyScene.open(database, "ns_a")
    query = Query.of(
        scene.taxonomy.config,
        sources_of(scene.taxonomy.config, CollectionStore(database), namespace_id="ns_a"),
        DEFAULT_LIMITS,
    )
    plain = [{"x": 1, "y": 0}]
    (tried,) = TrialStore(database).run(scene.taxonomy, query, plain, collection_id=None)
    assert tried.assignments
    hurried = TrialStore(database, limit_s=0)
    with pytest.raises(BadRequestError, match="more nodes than a trial can compare"):
        hurried.run(scene.taxonomy, query, plain, collection_id=None)


def test_inputs_of_the_documents_are_put_through_the_nodes_extractor(
    client: httpx.Client, nodes: list[str]
) -> None:
    mappings = [
        {"input_key": "x", "source_type": "payload", "path": "fields.width"},
        {"input_key": "y", "source_type": "literal", "override": 0.5},
    ]
    enrichment = [{"field_path": "fields.tag", "target_field": "side", "merge_mode": "append"}]
    source = {"collection_id": "nodes", "enrichment_fields": enrichment}
    create(client, config={"source_collection": source, "input_mappings": mappings, "top_k": 2})
    body = {"documents": [{"width": 4}, {"width": "wide"}, {}]}
    answer = made(client.post("/v1/taxonomies/ways/execute", json=body))
    assert [each["fields"] for each in answer["results"]] == [{"side": ["e", "n"]}, {}, {}]


def test_one_task_is_open_for_each_place(
    client: httpx.Client, stores: Stores, nodes: list[str], things: list[str]
) -> None:
    create(client)
    url = "/v1/taxonomies/ways/materialize"
    first = made(client.post(url, json={"collection_id": "things"}))
    assert (first["task_type"], first["status"]) == ("api_taxonomies_materialize", "PENDING")
    assert first["additional_data"]["version"] == 1
    again = made(client.post("/v1/collections/things/apply-taxonomy", json={"taxonomy_id": "ways"}))
    assert (again["task_id"], again["estimated_documents"]) == (first["task_id"], 3)
    other = {"collection_id": "things", "filters": {"fields.x": 1}}
    error(client.post(url, json=other), 409, "AlreadyExistsError")
    made(client.post("/v1/taxonomies/ways/versions", json={**FLAT, "top_k": 2}))
    error(client.post(url, json={"collection_id": "things"}), 409, "AlreadyExistsError")
    pinned = made(client.post(url, json={"collection_id": "things", "version": 1}))
    assert pinned["task_id"] == first["task_id"]
    error(client.delete("/v1/taxonomies/ways"), 409, "AlreadyExistsError")
    assert stores.materializations.settle() == 0

    made(client.post(f"/v1/tasks/{first['task_id']}/kill", json={}))
    assert stores.materializations.settle() == 1
    (row,) = made(client.get("/v1/taxonomies/ways"))["materializations"]
    assert (row["task_id"], row["status"]) == (first["task_id"], "CANCELED")
    assert (row["version"], row["applied_version"]) == (1, None)
    headers = {"Idempotency-Key": "once"}
    tasks = [
        made(client.post(url, json={"collection_id": "things"}, headers=headers)) for _ in range(2)
    ]
    assert tasks[0]["task_id"] == tasks[1]["task_id"] != first["task_id"]
    made(client.post(f"/v1/tasks/{tasks[0]['task_id']}/kill", json={}))
    made(client.delete("/v1/taxonomies/ways"))


def test_what_cannot_be_materialized_is_refused(
    client: httpx.Client,
    database: Database[Document],
    namespace_id: str,
    nodes: list[str],
    things: list[str],
) -> None:
    create(client)
    url = "/v1/taxonomies/ways/materialize"

    def refused(**body: Any) -> list[list[str | int]]:
        body = {"collection_id": "things", **body}
        return places(error(client.post(url, json=body), 422, "ValidationError"))

    assert refused(filters={"nothing": 1}) == [["body", "filters", "nothing"]]
    for target in ("things", "nodes"):
        assert refused(target_collection_id=target) == [["body", "target_collection_id"]]
    assert refused(batch_size=0) == [["body", "batch_size"]]
    budget = {"taxonomy_id": "ways", "budget_limits": {"max_credits": 1}}
    answer = client.post("/v1/collections/things/apply-taxonomy", json=budget)
    assert places(error(answer, 422, "ValidationError")) == [["body", "budget_limits"]]
    error(client.post(url, json={"collection_id": "nowhere"}), 404, "NotFoundError")
    bucket = made(
        client.post("/v1/buckets", json={"bucket_name": "b", "bucket_schema": {"properties": {}}})
    )
    text = {
        "collection_name": "texts",
        "source": {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]},
        "feature_extractor": {"feature_extractor_name": "text"},
    }
    made(client.post("/v1/collections", json=text))
    assert refused(collection_id="texts") == [["body", "collection_id"]]
    assert refused(target_collection_id="texts") == [["body", "target_collection_id"]]
    levels = {"levels": [{"collection_id": "nodes"}, {"collection_id": "texts"}]}
    body = {"taxonomy_name": "mixed", "config": levels}
    assert places(error(client.post("/v1/taxonomies", json=body), 422, "ValidationError")) == [
        ["body", "config"]
    ]


@pytest.mark.parametrize("kept_bytes", [0, 400, 10_000_000])
def test_nodes_that_are_kept_or_read_again_give_the_same(
    database: Database[Document], kept_bytes: int
) -> None:
    scene = TaxonomyScene.open(database, "ns_a")
    config = scene.taxonomy.config
    documents = np.array([[1, 0.2], [0, 0], [-1, -1], [0.1, 1]], np.float32)
    outcomes = []
    for kept in (kept_bytes, 10_000_000):
        nodes = NodeStore(database, config, FEATURE, namespace_id="ns_a", kept_bytes=kept)
        outcomes += [repr(assign(documents, config.levels, nodes)) for _ in range(2)]
        assert [len(b.ids) for b in nodes.blocks(1, 5)] == [5, 5, 2]
    assert len(set(outcomes)) == 1
    assert "n1" in outcomes[0]
    assert NodeStore.count(database, config) == 16


def test_parts_are_larger_where_there_would_be_too_many(
    database: Database[Document], ledger: Ledger
) -> None:
    scene = TaxonomyScene.open(database, "ns_a", documents=10)
    receipt = scene.submit(ledger, into_target=False)
    wanted = Wanted(scene.taxonomy, scene.collection_id)
    rows = MaterializationStore(database, ledger.receipts)
    store = PlacementStore(database, rows.of_task(wanted.materialization_id, receipt.task_id))
    ids = list(store.ids())
    assert list(store.parts(4)) == [(ids[3], 4), (ids[7], 4), (ids[9], 2)]
    assert list(store.parts(1, most=2)) == [(ids[4], 5), (ids[9], 5)]


def assign_all(scene: TaxonomyScene, ledger: Ledger, *, into_target: bool, unlike: int) -> Receipt:
    """What the workers do for a task that is new, with nothing for the first `unlike` documents."""
    receipt = scene.submit(ledger, into_target=into_target)
    target = scene.target_id if into_target else None
    wanted = Wanted(scene.taxonomy, scene.collection_id, target)
    rows = MaterializationStore(scene.database, ledger.receipts)
    row = rows.of_task(wanted.materialization_id, receipt.task_id)
    store = PlacementStore(scene.database, row)
    (page,) = store.pages(list(store.ids()), ["vectors.tabular"], top_k=2)
    nodes = NodeStore(scene.database, scene.taxonomy.config, FEATURE, namespace_id="ns_a")
    found = assign(np.ones((len(page), 2), np.float32), scene.taxonomy.config.levels, nodes)
    found[:unlike] = [[]] * unlike
    writer = Writer(receipt.task_id, "tsk_chunk", 1)
    write = partial(store.write, writer, page, found)
    transact(scene.database, write, within=TRANSACTION)
    for within in store.ranges():
        sweep = partial(store.sweep, receipt.task_id, within)
        transact(scene.database, sweep, within=TRANSACTION)
    ledger.killer.kill_many([receipt.task_id], actor="key:test", reason=None)
    return receipt


@pytest.mark.parametrize("into_target", [False, True])
def test_a_sweep_takes_away_what_another_task_assigned_and_no_more(
    database: Database[Document], ledger: Ledger, into_target: bool
) -> None:
    scene = TaxonomyScene.open(database, "ns_a", documents=8)
    documents = database["documents"]
    before = list(documents.find(sort=[("_id", 1)]))
    key = f"taxonomies.{scene.taxonomy.taxonomy_id}.task_id"
    other = {"taxonomies.tax_other": {"task_id": "tsk_other"}}
    for unlike in (3, 6):
        documents.update_many({"collection_id": scene.target_id}, {"$set": other})
        receipt = assign_all(scene, ledger, into_target=into_target, unlike=unlike)
        assert documents.count_documents({key: receipt.task_id}) == 8 - unlike
        assert documents.count_documents({key: {"$exists": True}}) == 8 - unlike
    copies = {"collection_id": scene.target_id}
    # The copies that are left were there before, with what else they had been assigned.
    assert documents.count_documents({**copies, **other}) == (2 if into_target else 0)
    documents.delete_many(copies)
    documents.update_many({}, {"$unset": {"taxonomies": ""}})
    assert list(documents.find(sort=[("_id", 1)])) == before

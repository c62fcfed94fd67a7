"""Migrations, run step by step: what they carry over, and that nobody sees them before the end."""

import httpx
import pytest
from pymongo.database import Database

from app.database import Document
from app.errors import PermanentError
from app.identity import new_id
from app.migrations.store import MigrationStore
from app.receipts.ledger import Ledger
from app.settings import Settings
from tests.integration.migrations import (
    URL,
    Source,
    Worker,
    assign,
    config,
    count_rows,
    end,
    plain,
    started,
    state_of,
    tracks_of,
)
from tests.integration.receipts import new_task
from tests.integration.resources import Json, error, made, thing
from tests.integration.test_idempotency import forget_answers
from workers.exit import PausedError
from workers.jobs.migration import carry_out


@pytest.fixture
def worker(settings: Settings, database: Database[Document], ledger: Ledger) -> Worker:
    return Worker(settings, database, ledger)


@pytest.fixture
def source(client: httpx.Client, database: Database[Document], ledger: Ledger) -> Source:
    """Four texts; three of them are documents."""
    source = Source(client, database, ledger)
    source.process(source.add("one", "two", "three", "four")[:3])
    return source


@pytest.fixture
def target(source: Source) -> str:
    return source.name.replace("source", "target")


def migration_of(client: httpx.Client, started: Json) -> Json:
    return made(client.get(f"{URL}/{started['migration_id']}"))


def test_a_copy_is_hidden_until_it_is_whole(
    client: httpx.Client, worker: Worker, source: Source, target: str
) -> None:
    before = source.rows()
    migration = started(client, config(source.name, target))
    unseen: list[int] = []

    def look() -> None:
        unseen.append(client.get(f"/v1/namespaces/{target}").status_code)
        unseen.append(client.get("/v1/buckets", headers={"X-Namespace": target}).status_code)

    receipt = worker.run(migration["task_id"], dict.fromkeys((1, 4, 8, 12), look))
    assert set(unseen) == {404}
    assert len(unseen) == 8
    assert source.rows() == before
    assert state_of(source.database, migration["migration_id"]) == plain(before)
    assert receipt.outputs[0]["objects"] == 4  # type: ignore[index]
    assert receipt.progress is not None
    assert receipt.progress.percent == 100.0

    shown = migration_of(client, migration)
    assert (shown["status"], shown["result"]["rounds"]) == ("COMPLETED", 1)
    assert shown["result"]["late_changes"] == {
        "count": 0,
        "ids": [],
        "deleted": 0,
        "complete": True,
        "resource_ids": [],
    }
    for each in shown["result"]["verification"]:
        assert each["source_count"] == each["target_count"] in (3, 4)
        assert each["source_hash"] == each["target_hash"]
    assert {each["status"] for each in shown["progress"]["stages"]} == {"COMPLETED"}
    there = {"X-Namespace": target}
    bucket = made(client.get("/v1/buckets/texts", headers=there))
    assert (bucket["object_count"], bucket["unique_key"]) == (4, "price")
    documents = made(client.get("/v1/collections/text-vectors/documents", headers=there))
    assert {each["bucket_id"] for each in documents["results"]} == {bucket["bucket_id"]}
    taken = client.post(
        f"/v1/buckets/{bucket['bucket_id']}/objects", json=thing(price=1.0), headers=there
    )
    error(taken, 409, "AlreadyExistsError")


def test_what_the_source_gets_meanwhile_goes_along(
    client: httpx.Client, worker: Worker, source: Source, target: str
) -> None:
    doomed = source.add("doomed", first_price=50)[0]
    migration = started(client, config(source.name, target))

    def meddle() -> None:
        source.remove(doomed)
        (new,) = source.add("five", first_price=50)  # under the unique key of the former
        source.process([new])

    def change() -> None:
        source.process(source.add("six", first_price=70))

    attempt = worker.attempt(migration["task_id"], {8: meddle, 14: change})
    done = carry_out(worker.process, attempt)
    (late,) = source.add("late", first_price=80)
    end(attempt, done)
    result = migration_of(client, migration)["result"]
    # The document of the first was written before its collection was compared.
    assert result["carried_over"] == 4  # a deletion, two objects, a document
    assert result["late_changes"] == {
        "count": 1,
        "ids": [late],
        "deleted": 0,
        "complete": True,
        "resource_ids": [],
    }
    expected = plain(source.rows())
    expected["objects"] = [each for each in expected["objects"] if each["_id"] != late]
    assert state_of(source.database, migration["migration_id"]) == expected


def test_a_run_goes_on_where_it_was_left(
    client: httpx.Client, worker: Worker, source: Source, target: str, database: Database[Document]
) -> None:
    """Suspended and resumed, then failed and started again, killed while nothing of it is seen."""
    migration = started(client, config(source.name, target))
    task = f"/v1/tasks/{migration['task_id']}"

    def suspend() -> None:
        made(client.post(f"{task}/suspend", json={}, headers=source.headers))

    attempt = worker.attempt(migration["task_id"], {3: suspend})
    with pytest.raises(PausedError) as paused:
        carry_out(worker.process, attempt)
    attempt.pause(paused.value)
    assert attempt.steps == 3
    assert migration_of(client, migration)["status"] == "SUSPENDED"
    for status, number in (("SUSPENDED", 1), ("pending", 1), ("PENDING", 0), ("failed", 0)):
        listed = made(client.post(f"{URL}/list", json={"status": status}))
        assert len(listed["results"]) == number, status
    made(client.post(f"{task}/resume", json={}, headers=source.headers))

    def crash() -> None:
        raise ConnectionError("the line went dead")

    attempt = worker.attempt(migration["task_id"], {4: crash})
    with pytest.raises(ConnectionError):
        carry_out(worker.process, attempt)
    worker.fail(attempt, "the line went dead")
    failed = migration_of(client, migration)
    assert (failed["status"], failed["error_message"]) == ("FAILED", "the line went dead")
    assert failed["progress"]["overall_progress_percent"] > 0
    error(client.delete(f"{URL}/{migration['migration_id']}"), 409, "AlreadyExistsError")

    again = made(client.post(f"{URL}/{migration['migration_id']}/start", json={}))
    assert again["task_id"] != migration["task_id"]
    attempt = worker.attempt(again["task_id"])
    end(attempt, carry_out(worker.process, attempt))
    written = sum(each["written"] for each in tracks_of(database, migration))
    assert written == 7, "a row was written twice"
    shown = migration_of(client, migration)
    assert shown["status"] == "COMPLETED"
    assert shown["earlier_task_ids"] == [migration["task_id"]]
    assert state_of(database, migration["migration_id"]) == plain(source.rows())
    for path in ("start", "rollback"):
        refused = client.post(f"{URL}/{migration['migration_id']}/{path}")
        error(refused, 409, "AlreadyExistsError")
    made(client.delete(f"{URL}/{migration['migration_id']}"))
    assert made(client.get(f"/v1/namespaces/{target}"))["namespace_name"] == target


def test_a_rollback_leaves_nothing(
    client: httpx.Client, worker: Worker, source: Source, target: str, database: Database[Document]
) -> None:
    """A name is taken at the last moment: the migration fails, and one call takes all back."""
    before = count_rows(database)
    migration = started(client, config(source.name, target))
    attempt = worker.attempt(migration["task_id"])
    done = carry_out(worker.process, attempt)
    rival = made(client.post("/v1/namespaces", json={"namespace_name": target}))
    with pytest.raises(PermanentError, match=f"The name '{target}' was taken"):
        end(attempt, done)
    worker.fail(attempt)
    there = {"X-Namespace": target}
    assert made(client.get("/v1/buckets", headers=there))["results"] == []
    made(client.delete(f"/v1/namespaces/{rival['namespace_id']}"))

    path = f"{URL}/{migration['migration_id']}"
    rollback = made(client.post(f"{path}/rollback"))
    assert made(client.post(f"{path}/rollback"))["task_id"] == rollback["task_id"]
    error(client.post(f"{path}/start"), 409, "AlreadyExistsError")
    migrations = MigrationStore(database, worker.ledger.receipts)
    stale = migrations.get(migration["migration_id"])
    receipt = worker.roll_back(rollback["task_id"])
    assert migrations.start(stale, new_task(), worker.ledger) is None
    assert receipt.outputs == [{"migration_id": migration["migration_id"], "removed": 7}]
    assert count_rows(database) == before
    assert made(client.post(f"{path}/rollback"))["message"] == "Nothing is left of it"
    shown = migration_of(client, migration)
    assert shown["rollback"]["rolled_back_at"] is not None
    assert shown["rollback"]["status"] == "COMPLETED"
    error(client.post(f"{path}/start"), 409, "AlreadyExistsError")
    made(client.delete(path))


def test_extend_adds_beside_what_is_there(
    client: httpx.Client, worker: Worker, source: Source, target: str, database: Database[Document]
) -> None:
    there = {"X-Namespace": target}
    made(client.post("/v1/namespaces", json={"namespace_name": target}))
    own = {"bucket_name": "texts", "bucket_schema": {"properties": {}}}
    mine = made(client.post("/v1/buckets", json=own, headers=there))
    wanted = config(source.name, target, "extend")
    found = made(client.post(f"{URL}/validate", json=wanted))["validation_result"]
    assert [each["error_code"] for each in found["errors"]] == ["bucket_name_taken"]
    draft = made(client.post(URL, json=wanted))
    assert draft["status"] == "DRAFT"
    refused = client.post(f"{URL}/{draft['migration_id']}/start")
    assert "named 'texts'" in error(refused, 422, "ValidationError")["message"]

    made(client.delete(f"/v1/buckets/{mine['bucket_id']}", headers=there))
    made(client.post("/v1/buckets", json={**own, "bucket_name": "mine"}, headers=there))
    task_id = made(client.post(f"{URL}/{draft['migration_id']}/start"))["task_id"]
    busy = made(client.post(f"{URL}/validate", json=wanted))["validation_result"]
    assert [each["error_code"] for each in busy["errors"]] == ["target_busy"]
    worker.run(task_id)
    names = {
        each["bucket_name"] for each in made(client.get("/v1/buckets", headers=there))["results"]
    }
    assert names == {"mine", "texts"}
    state = state_of(database, draft["migration_id"])
    assert state["objects"] == plain(source.rows())["objects"]


def test_re_extract_makes_documents_anew(
    client: httpx.Client, worker: Worker, source: Source, target: str, database: Database[Document]
) -> None:
    """One object has no content for the extractor; one comes, and one goes, meanwhile."""
    source.add(" ", first_price=90)
    (doomed,) = source.add("doomed", first_price=91)
    replacement = {"feature_extractor_name": "text", "parameters": {"ngram_range": [2, 3]}}
    wanted = config(source.name, target, "re_extract", feature_extractors=[replacement])
    migration = started(client, {**wanted, "batch_options": {"batch_size": 2}})

    def meddle() -> None:
        source.remove(doomed)
        source.add("seven", first_price=92)

    worker.run(migration["task_id"], {5: meddle})
    shown = migration_of(client, migration)
    result = shown["result"]
    assert (result["objects"], result["documents"], result["failed_documents"]) == (6, 5, 1)
    assert result["failures"][0]["error_type"] == "no_features"
    (processed,) = [
        each for each in shown["progress"]["stages"] if each["stage"] == "batch_processing"
    ]
    assert processed["items_failed"] == 1
    state = state_of(database, migration["migration_id"])
    assert state["objects"] == plain(source.rows())["objects"]
    there = {"X-Namespace": target}
    collection = made(client.get("/v1/collections/text-vectors", headers=there))
    assert collection["feature_extractor"]["parameters"] == {"ngram_range": [2, 3]}
    documents = made(client.get("/v1/collections/text-vectors/documents", headers=there))["results"]
    assert {each["batch_id"] for each in documents} == {migration["migration_id"]}
    assert {each["fields"]["price"] for each in documents} == {0.0, 1.0, 2.0, 3.0, 92.0}


def test_a_source_that_loses_its_bucket_fails_the_migration(
    client: httpx.Client, worker: Worker, source: Source, target: str
) -> None:
    migration = started(client, config(source.name, target))

    def lose() -> None:
        made(client.delete("/v1/collections/text-vectors", headers=source.headers))

    source.database["documents"].delete_many({})
    attempt = worker.attempt(migration["task_id"], {3: lose})
    with pytest.raises(PermanentError, match="'text-vectors' was deleted from the source"):
        end(attempt, carry_out(worker.process, attempt))
    assert client.get(f"/v1/namespaces/{target}").status_code == 404


def test_a_create_that_is_repeated_after_its_end_is_answered_with_what_it_made(
    client: httpx.Client, worker: Worker, source: Source, target: str, database: Database[Document]
) -> None:
    """As when the API dies after the effect: by now the name is taken, by this migration."""
    body = {"config": config(source.name, target), "start_immediately": True}
    headers = {"Idempotency-Key": "once"}
    first = made(client.post(URL, json=body, headers=headers))
    worker.run(first["task_id"])
    forget_answers(database)
    repeated = made(client.post(URL, json=body, headers=headers))
    assert (repeated["migration_id"], repeated["task_id"], repeated["status"]) == (
        first["migration_id"],
        first["task_id"],
        "COMPLETED",
    )


def test_more_than_a_row_can_hold_is_refused(
    client: httpx.Client, source: Source, target: str, database: Database[Document]
) -> None:
    ids = [f"{n:04}{'x' * 120}" for n in range(5_000)]
    filters = {"collection_ids": ids, "taxonomy_ids": ids}
    error(
        client.post(URL, json=config(source.name, target, filters=filters)), 422, "ValidationError"
    )
    bucket = database["buckets"].find_one({"_id": source.bucket["bucket_id"]})
    assert bucket is not None
    names = (f"{n:04}" + "\U0001f9f3" * 120 for n in range(4_000))
    more = [{**bucket, "_id": new_id("bkt"), "bucket_name": name} for name in names]
    database["buckets"].insert_many(more)
    draft = made(client.post(URL, json=config(source.name, target)))
    assert draft["status"] == "DRAFT"
    (found,) = draft["validation_result"]["errors"]
    assert found["error_code"] == "too_many_resources"
    error(client.post(f"{URL}/{draft['migration_id']}/start"), 422, "ValidationError")


def test_a_dry_run_measures_and_writes_nothing(
    client: httpx.Client, worker: Worker, source: Source, target: str, database: Database[Document]
) -> None:
    before = count_rows(database)
    migration = started(client, config(source.name, target, dry_run=True))
    worker.run(migration["task_id"])
    result = migration_of(client, migration)["result"]
    assert result["dry_run"] is True
    assert result["rows"] == 7
    assert result["size_bytes"] > 7 * 100
    assert result["execution_order"] == [
        source.bucket["bucket_id"],
        source.collection["collection_id"],
    ]
    assert count_rows(database) == before


def test_clusters_and_taxonomies_go_along(
    client: httpx.Client, worker: Worker, source: Source, target: str, database: Database[Document]
) -> None:
    """Their definitions, and what a taxonomy assigned to the documents, with the nodes' new ids."""
    collection_id = source.collection["collection_id"]
    taxonomy = source.post(
        "/v1/taxonomies",
        {"taxonomy_name": "kinds", "config": {"source_collection": collection_id}},
    )
    cluster = source.post(
        "/v1/clusters",
        {
            "collection_ids": [collection_id],
            "cluster_name": "groups",
            "cluster_type": "vector",
            "vector_config": {
                "feature_uris": ["text"],
                "clustering_method": "kmeans",
                "algorithm_params": {"n_clusters": 2},
            },
        },
    )
    nodes = [row["_id"] for row in source.rows()["documents"]]
    assign(database, taxonomy["taxonomy_id"], nodes)
    filters = {"cluster_ids": [cluster["cluster_id"]], "auto_include_dependencies": False}
    left = made(client.post(f"{URL}/validate", json=config(source.name, target, filters=filters)))[
        "validation_result"
    ]["errors"]
    assert [each["error_code"] for each in left] == ["dependency_left_out"]

    migration = started(client, config(source.name, target))
    order = migration["dependency_graph"]["execution_order"]
    assert order[:2] == [source.bucket["bucket_id"], collection_id]
    assert set(order[2:]) == {taxonomy["taxonomy_id"], cluster["cluster_id"]}
    worker.run(migration["task_id"])
    assert state_of(database, migration["migration_id"]) == plain(source.rows())
    there = {"X-Namespace": target}
    copy = made(client.get("/v1/taxonomies/kinds", headers=there))
    documents = made(client.get("/v1/collections/text-vectors/documents", headers=there))["results"]
    ids = {each["document_id"] for each in documents}
    for each in documents:
        (assignment,) = each["taxonomies"][copy["taxonomy_id"]]["assignments"]
        assert assignment["node_id"] in ids
    assert made(client.get("/v1/clusters/groups", headers=there))["collection_ids"] != [
        collection_id
    ]

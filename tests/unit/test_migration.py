"""Migrations, the pure parts: what goes along, under which ids, and when two rows are equal."""

import bson
from hypothesis import given
from hypothesis import strategies as st
from mixpeek import MigrationStatus

from app.api.migration_word import ASKED, PUBLIC_WORDS
from app.database import Document
from app.http.public_client import USER_AGENT
from app.migrations.config import EVERYTHING, ResourceFilter
from app.migrations.digest import EMPTY, chained, content_digest
from app.migrations.idmap import IdMap
from app.migrations.resource import Resource, ResourceType
from app.migrations.selection import ordered, select
from app.migrations.stage import Stage, advanced, closed, current, planned
from app.receipts.draft import this_moment
from app.receipts.status import TaskStatusEnum
from app.resources.extraction import document_id

BUCKET = Resource(ResourceType.BUCKET, "bkt_1", "goods")
NODES = Resource(ResourceType.COLLECTION, "col_1", "nodes", ("bkt_1",))
TEXTS = Resource(ResourceType.COLLECTION, "col_2", "texts", ("bkt_1", "tax_1"))
KINDS = Resource(ResourceType.TAXONOMY, "tax_1", "kinds", ("col_1",))
GROUPS = Resource(ResourceType.CLUSTER, "clust_1", "groups", ("col_2",))
ALL = (GROUPS, KINDS, TEXTS, NODES, BUCKET)

IDS = IdMap("mig_0196b1c0a4e87d11b8a40c3f5e2d9a77", "ns_new")


def test_what_others_build_on_comes_first() -> None:
    found, findings = select(ALL, EVERYTHING)
    assert findings == []
    assert [each.resource_id for each in found] == ["bkt_1", "col_1", "tax_1", "col_2", "clust_1"]
    assert [each.tier for each in found] == [0, 1, 2, 3, 4]


def test_a_filter_brings_what_it_needs_or_says_so() -> None:
    found, findings = select(ALL, ResourceFilter(taxonomy_ids=["tax_1"]))
    assert [each.resource_id for each in found] == ["bkt_1", "col_1", "tax_1"]
    assert findings == []
    alone = ResourceFilter(
        taxonomy_ids=["tax_1"], cluster_ids=["clust_9"], auto_include_dependencies=False
    )
    _, findings = select(ALL, alone)
    assert [(each.error_code, each.resource_id) for each in findings] == [
        ("resource_missing", "clust_9"),
        ("dependency_left_out", "col_1"),
    ]
    _, (finding,) = select((), EVERYTHING)
    assert finding.error_code == "empty_selection"


def test_a_circle_of_references_has_an_order() -> None:
    one = Resource(ResourceType.COLLECTION, "col_1", "one", ("tax_1", "bkt_1"))
    circle = ordered([KINDS, one, BUCKET])
    assert [(each.resource_id, each.tier) for each in circle] == [
        ("bkt_1", 0),
        ("col_1", 1),
        ("tax_1", 1),
    ]


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(), max_size=5))
def test_the_order_of_keys_changes_no_digest(fields: Document) -> None:
    turned = dict(reversed(list(fields.items())))
    one = {"fields": [fields], "updated_at": 1}
    other = {"updated_at": 2, "fields": [turned]}
    try:
        bson.encode({"fields": fields})
    except (OverflowError, bson.errors.InvalidDocument):
        return  # no row of MongoDB's
    assert content_digest(one) == content_digest(other)
    assert content_digest(one) != content_digest({"fields": [fields, 1]})


def test_a_chain_of_digests_knows_its_order() -> None:
    one, other = content_digest({"a": 1}), content_digest({"a": 2})
    assert chained(chained(EMPTY, one), other) != chained(chained(EMPTY, other), one)


def test_a_document_has_the_id_that_a_batch_would_give_it() -> None:
    collection_id, object_id = "col_0196b1c0a4e8aa", "obj_0196b1c0a4e8bb"
    made = {"collection_id": collection_id, "object_id": object_id}
    key = IDS.document_key({**made, "_id": document_id(collection_id, object_id)})
    assert key == document_id(IDS.new(collection_id), IDS.new(object_id))
    assert IDS.document_key({**made, "_id": "doc_0196b1c0a4e8cc"}) == IDS.new("doc_0196b1c0a4e8cc")
    assert IDS.new(object_id) == IDS.new(object_id) != IdMap("mig_2", "ns_new").new(object_id)
    assert IDS.new(object_id)[:16] == object_id[:16], "it sorts by the same time"


def test_references_follow_and_what_users_wrote_stays() -> None:
    row = {
        "_id": "col_1",
        "source": {"bucket_ids": ["bkt_1", "bkt_9"]},
        "applications": {"tax_1": True},
        "metadata": {"see": "bkt_1"},
        "namespace_id": "ns_old",
    }
    made = IDS.standing_row(row, IDS.table(["col_1", "bkt_1", "tax_1"]))
    assert made["source"] == {"bucket_ids": [IDS.new("bkt_1"), "bkt_9"]}
    assert made["applications"] == {IDS.new("tax_1"): True}
    assert made["metadata"] == row["metadata"]
    assert made["namespace_id"] == "ns_new"


def test_stages_add_up() -> None:
    at = this_moment()
    stages = planned({Stage.BATCH_CREATION: 10})
    stages = advanced(stages, Stage.BATCH_CREATION, at, completed=4)
    assert current(stages) is Stage.BATCH_CREATION
    assert [each.percent for each in stages][:2] == [0.0, 40.0]
    stages = advanced(stages, Stage.BATCH_CREATION, at, completed=8, failed=1)
    (creation,) = [each for each in stages if each.stage is Stage.BATCH_CREATION]
    assert (creation.items_completed, creation.items_total, creation.items_failed) == (12, 12, 1)
    stages = closed(stages, Stage.BATCH_PROCESSING, at)
    assert current(stages) is None
    assert [each.completed_at is not None for each in stages] == [True, True] + [False] * 4


def test_the_public_client_s_words_are_its_own() -> None:
    theirs = {each.value for each in MigrationStatus}
    assert set(PUBLIC_WORDS.values()) <= theirs
    assert set(ASKED) == theirs - {"validating"}
    unused = {TaskStatusEnum.ACTIVE, TaskStatusEnum.ARCHIVED}
    assert PUBLIC_WORDS.keys() == set(TaskStatusEnum) - unused


def test_nobody_else_is_taken_for_the_public_client() -> None:
    assert USER_AGENT.fullmatch("OpenAPI-Generator/1.3.783/python")
    for other in ("OpenAPI-Generator/1.4.0/python", "OpenAPI-Generator/1.3.1/python x", "python"):
        assert not USER_AGENT.fullmatch(other)

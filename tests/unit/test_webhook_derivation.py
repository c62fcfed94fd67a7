"""Which events the transitions of a task tell."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.deliveries.derivation import DERIVED, events_of
from app.events.event import Event
from app.events.type import SUBSCRIBABLE, EventType
from app.receipts.outbox import Entry, Untold
from app.receipts.status import TERMINAL, TRANSITIONS, TaskStatusEnum

AT = datetime(2026, 1, 1, tzinfo=UTC)
S = TaskStatusEnum
E = EventType

RUN = (S.PENDING, S.PROCESSING, S.COMPLETED)


def task(*statuses: TaskStatusEnum, task_type: str = "mine", **data: object) -> Untold:
    """A task that went through these statuses, each claim being another attempt."""
    news, attempt = [], 0
    for place, status in enumerate(statuses):
        attempt += status is S.PROCESSING
        before = statuses[place - 1] if place else None
        moment = AT + timedelta(seconds=place)
        news.append(Entry(place + 1, before, status, moment, attempt))
    return Untold(
        task_id="tsk_0190000000000000000000000000000a",
        namespace_id="ns_a",
        task_type=task_type,
        callback_url=None,
        additional_data={},  # as where it is large
        about=data,
        outputs=[{"n": 1}],
        error_message="no" if S.FAILED in statuses else None,
        done=3,
        news=tuple(news),
    )


def events(of: Untold) -> list[Event]:
    return [event for event, _ in events_of(of)]


def names(of: Untold) -> list[str]:
    return [event.event_type.value for event in events(of)]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (RUN, ["task.created", "task.started", "task.completed"]),
        (
            (S.PENDING, S.PROCESSING, S.PENDING, S.PROCESSING, S.FAILED),
            ["task.created", "task.started", "task.failed"],
        ),
        (
            (S.PENDING, S.SUSPENDED, S.PENDING, S.PROCESSING, S.SKIPPED),
            ["task.created", "task.started", "task.skipped"],
        ),
        ((S.PENDING, S.CANCELED), ["task.created", "task.canceled"]),
    ],
)
def test_a_task_tells_of_its_start_and_its_end_once(
    statuses: tuple[TaskStatusEnum, ...], expected: list[str]
) -> None:
    assert names(task(*statuses)) == expected


def test_every_end_is_told_and_marked_as_the_end() -> None:
    for end in TERMINAL:
        path = (S.PENDING, end) if end in TRANSITIONS[S.PENDING] else RUN
        told = [is_end for _, is_end in events_of(task(*path))]
        assert told[-1] is True, end
        assert not any(told[:-1]), end


def test_telling_in_parts_tells_the_same_and_in_order() -> None:
    whole = task(*RUN, task_type="engine_cluster_build", cluster_id="clust_a", run_id="run_a")
    parts = [replace(whole, news=(entry,)) for entry in whole.news]
    assert [event for part in parts for event in events(part)] == events(whole)
    sequence = [event.sequence for event in events(whole)]
    assert sequence == sorted(sequence, key=lambda number: number or 0)
    assert len({event.event_id for event in events(whole)}) == len(events(whole))
    assert all("." not in event.event_id for event in events(whole))


def test_an_execution_tells_of_its_cluster() -> None:
    told = events(task(*RUN, task_type="engine_cluster_build", cluster_id="clust_a", run_id="r"))
    assert [event.event_type for event in told if event.subject.type == "cluster"] == [
        E.EXECUTION_STARTED,
        E.EXECUTION_COMPLETED,
    ]
    assert told[-1].metadata["run_id"] == "r"
    assert told[-1].subject.id == "clust_a"


def test_a_batch_tells_of_each_collection_also_where_it_ended_half_way() -> None:
    data = {"batch_id": "btch_a", "bucket_id": "bkt_a", "collection_ids": ["col_a", "col_b"]}
    kind = "api_buckets_batches_process"
    for path, done in ((RUN, 3), ((S.PENDING, S.PROCESSING, S.CANCELED), 0)):
        # Of a task that is canceled, the progress may be older than what its children wrote.
        batch = replace(task(*path, task_type=kind, **data), done=done)
        written = [event for event in events(batch) if event.subject.id[0] == "c"]
        assert [event.subject.id for event in written] == ["col_a", "col_b"]
        assert {event.event_type for event in written} == {E.DOCUMENTS_WRITTEN}
        assert written[0].cache_scope.to_json() == {
            "scope": "collection",
            "collection_id": "col_a",
        }
    nothing = task(S.PENDING, S.CANCELED, task_type=kind, **data)
    assert names(nothing) == ["task.created", "task.canceled"]


def test_a_materialization_tells_of_the_collection_that_it_wrote_to() -> None:
    data = {"taxonomy_id": "tax_a", "collection_id": "col_a", "target_collection_id": "col_t"}
    told = events(task(*RUN, task_type="api_taxonomies_materialize", **data))
    assert [(event.event_type, event.subject.id) for event in told[-2:]] == [
        (E.TAXONOMY_MATERIALIZED, "tax_a"),
        (E.DOCUMENTS_WRITTEN, "col_t"),
    ]


def test_a_migration_makes_all_of_its_target_new() -> None:
    data = {"migration_id": "mig_a", "target_namespace_id": "ns_b"}
    told = events(task(*RUN, task_type="api_namespaces_migrations_run", **data))
    assert told[-1].event_type is E.MIGRATION_COMPLETED
    assert told[-1].cache_scope.to_json() == {"scope": "namespace", "namespace_id": "ns_b"}


def test_the_body_says_it_in_our_words_and_in_those_of_standard_webhooks() -> None:
    body = events(task(*RUN))[-1].to_json()
    assert body["event_type"] == body["type"] == "task.completed"
    assert body["occurred_at"] == body["timestamp"] == "2026-01-01T00:00:02.000Z"
    assert body["subject"] == {"type": "task", "id": "tsk_0190000000000000000000000000000a"}
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    assert (metadata["sequence"], metadata["status"]) == (3, "COMPLETED")
    assert body["data"] == {"namespace_id": "ns_a", "subject": body["subject"], **metadata}


def test_what_is_derived_can_be_subscribed_to() -> None:
    assert set(SUBSCRIBABLE) >= DERIVED

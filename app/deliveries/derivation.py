"""What the transitions of a task tell others: events of it, and of what it worked on. Pure."""

from collections.abc import Callable, Iterator
from typing import Final

from app.clusters.cluster import TASK_TYPE as EXECUTION
from app.events.event import CacheScope, Event, Scope, Subject, event_id
from app.events.type import EventType
from app.migrations.migration import RUN_TYPE as MIGRATION
from app.receipts.outbox import Entry, Untold
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.resources.batch import TASK_TYPE as BATCH
from app.taxonomies.materialization import TASK_TYPE as MATERIALIZATION

_S = TaskStatusEnum
_E = EventType

# Tasks whose ends concern handlers in here, whoever else asks for them.
CONCERN_US: Final = frozenset({BATCH, MATERIALIZATION, MIGRATION})

OF_TASKS: Final = {
    _S.PROCESSING: _E.TASK_STARTED,
    _S.COMPLETED: _E.TASK_COMPLETED,
    _S.FAILED: _E.TASK_FAILED,
    _S.CANCELED: _E.TASK_CANCELED,
    _S.SKIPPED: _E.TASK_SKIPPED,
}
OF_EXECUTIONS: Final = {
    _S.PROCESSING: _E.EXECUTION_STARTED,
    _S.COMPLETED: _E.EXECUTION_COMPLETED,
    _S.FAILED: _E.EXECUTION_FAILED,
}
OF_MIGRATIONS: Final = {
    _S.COMPLETED: _E.MIGRATION_COMPLETED,
    _S.FAILED: _E.MIGRATION_FAILED,
}
# What a webhook may subscribe to that makes tasks worth a look.
DERIVED: Final = frozenset(
    {
        _E.TASK_CREATED,
        *OF_TASKS.values(),
        *OF_EXECUTIONS.values(),
        *OF_MIGRATIONS.values(),
        _E.TAXONOMY_MATERIALIZED,
        _E.DOCUMENTS_WRITTEN,
    }
)


def events_of(task: Untold) -> Iterator[tuple[Event, bool]]:
    """Each event that the task's news tell, in order, and whether it is the task's own end."""
    for entry in task.news:
        if (own := _own_type(entry)) is None:
            continue
        yield _task_event(task, entry, own), entry.to in TERMINAL
        if (others := _OTHERS.get(task.task_type)) is not None:
            for event in others(task, entry):
                yield event, False


def _own_type(entry: Entry) -> EventType | None:
    """A task starts once, however many attempts it takes; pauses and returns are its own affair."""
    if entry.from_ is None:
        return EventType.TASK_CREATED
    if entry.to is TaskStatusEnum.PROCESSING and entry.attempt > 1:
        return None
    return OF_TASKS.get(entry.to)


def _task_event(task: Untold, entry: Entry, event_type: EventType) -> Event:
    has_ended = entry.to in TERMINAL
    metadata = {
        "task_type": task.task_type,
        "status": entry.to.value,
        "attempt": entry.attempt,
        "additional_data": task.additional_data,
        "outputs": task.outputs if has_ended else None,
        "error_message": task.error_message if has_ended else None,
    }
    scope = CacheScope(Scope.KEY, task.task_id)
    return _event(task, entry, event_type, Subject("task", task.task_id), metadata, scope)


def _execution(task: Untold, entry: Entry) -> Iterator[Event]:
    event_type = OF_EXECUTIONS.get(entry.to)
    if event_type is not None:
        cluster_id = _text(task, "cluster_id")
        metadata = {**_about(task, entry), "run_id": _text(task, "run_id")}
        scope = CacheScope(Scope.KEY, cluster_id)
        yield _event(task, entry, event_type, Subject("cluster", cluster_id), metadata, scope)


def _migration(task: Untold, entry: Entry) -> Iterator[Event]:
    event_type = OF_MIGRATIONS.get(entry.to)
    if event_type is not None:
        subject = Subject("migration", _text(task, "migration_id"))
        target_id = _text(task, "target_namespace_id")
        metadata = {**_about(task, entry), "target_namespace_id": target_id}
        scope = CacheScope(Scope.NAMESPACE, target_id)
        yield _event(task, entry, event_type, subject, metadata, scope)


def _batch(task: Untold, entry: Entry) -> Iterator[Event]:
    """One event for each collection that got documents, however the batch ended."""
    if not _has_written(entry):
        return
    collection_ids = task.about.get("collection_ids")
    for collection_id in collection_ids if isinstance(collection_ids, list) else ():
        names = {name: _text(task, name) for name in ("batch_id", "bucket_id")}
        metadata = {**_about(task, entry), **names, "objects": task.done}
        yield _written(task, entry, str(collection_id), metadata)


def _materialization(task: Untold, entry: Entry) -> Iterator[Event]:
    if not _has_written(entry):
        return
    collection_id = _text(task, "target_collection_id") or _text(task, "collection_id")
    metadata = {
        **_about(task, entry),
        "taxonomy_id": _text(task, "taxonomy_id"),
        "version": task.about.get("version"),
        "collection_id": _text(task, "collection_id"),
        "target_collection_id": task.about.get("target_collection_id"),
        "documents": task.done,
    }
    if entry.to is TaskStatusEnum.COMPLETED:
        subject = Subject("taxonomy", _text(task, "taxonomy_id"))
        scope = CacheScope(Scope.COLLECTION, collection_id)
        kind = EventType.TAXONOMY_MATERIALIZED
        yield _event(task, entry, kind, subject, metadata, scope)
    yield _written(task, entry, collection_id, metadata)


def _has_written(entry: Entry) -> bool:
    """What a task wrote before it failed or was canceled stays. Whether it wrote anything its
    progress may not say: a parent that is canceled does not sum up its children's.
    """
    return entry.to in TERMINAL and entry.attempt > 0


def _written(task: Untold, entry: Entry, collection_id: str, metadata: dict[str, object]) -> Event:
    return _event(
        task,
        entry,
        EventType.DOCUMENTS_WRITTEN,
        Subject("collection", collection_id),
        metadata,
        CacheScope(Scope.COLLECTION, collection_id),
    )


def _about(task: Untold, entry: Entry) -> dict[str, object]:
    return {"task_id": task.task_id, "status": entry.to.value}


def _text(task: Untold, name: str) -> str:
    return str(task.about.get(name) or "")


def _event(
    task: Untold,
    entry: Entry,
    event_type: EventType,
    subject: Subject,
    metadata: dict[str, object],
    scope: CacheScope,
) -> Event:
    cause = f"{task.task_id}:{entry.seq}:{subject.id}"
    return Event(
        event_id=event_id(event_type, cause=cause, like=task.task_id),
        event_type=event_type,
        occurred_at=entry.at,
        namespace_id=task.namespace_id,
        subject=subject,
        metadata=metadata,
        cache_scope=scope,
        task_id=task.task_id,
        sequence=entry.seq,
    )


# What tasks of these types tell of what they worked on, `about`.
_OTHERS: Final[dict[str, Callable[[Untold, Entry], Iterator[Event]]]] = {
    EXECUTION: _execution,
    MIGRATION: _migration,
    BATCH: _batch,
    MATERIALIZATION: _materialization,
}
# Tasks that tell of more than themselves.
ABOUT: Final = frozenset(_OTHERS)

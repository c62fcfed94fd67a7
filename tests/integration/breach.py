"""Each rule that a verification knows, broken once in each way, by writing past the stores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from app.audit.violation import Rule
from app.database import Document
from app.receipts.cache import KEY_PREFIX
from app.receipts.cancellation import UNREACHABLE
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending
from app.receipts.transition import Move
from tests.integration.receipts import claim, create, stored
from tests.integration.scene import AGE, QUOTA_NAMESPACE, RETRY, Scene


def _illegal_first_step(scene: Scene) -> str:
    task_id = scene.suspended()
    return scene.set(
        task_id,
        history=[{"seq": 1, "from": None, "to": "SUSPENDED", "at": scene.now(), "attempt": 0}],
    )


def _second_end(scene: Scene) -> str:
    task_id = scene.completed()
    scene.push(task_id, "COMPLETED", "FAILED", attempt=1)
    ended_at = stored(scene.ledger, task_id)["history"][-1]["at"]
    return scene.set(task_id, ended_at=ended_at)


def _third_of_two(scene: Scene) -> str:
    return scene.set(scene.retried(), max_attempts=1)


def _too_many_conclusions(scene: Scene) -> str:
    return scene.set(scene.concluded()[0], fan_out__conclusions=4)


def _shared_token(scene: Scene) -> str:
    one, other = sorted([scene.running(), scene.running()])
    token = stored(scene.ledger, one)["lease"]["token"]
    return scene.set(other, lease__token=token, last_token=token)


def _lease_of_another(scene: Scene) -> Document:
    lease: Document = stored(scene.ledger, scene.running())["lease"]
    return {**lease, "token": "of-nobody-else"}


def _late_retry(scene: Scene) -> str:
    """Due long ago: nobody sent its message."""
    receipt, by = claim(scene.ledger, create(scene.ledger))
    guard = {"lease.token": by.token}
    assert scene.ledger.receipts.requeue(receipt.task_id, RETRY, guard=guard, token=by.token)
    scene.set(receipt.task_id, not_before=scene.long_ago())
    return scene.age(receipt.task_id)


def _unsent(scene: Scene) -> str:
    return scene.set(scene.age(scene.waiting()), published_at=None)


def _shut_door(scene: Scene) -> str:
    """Held long ago: nobody looked for room since."""
    task_id = scene.held(max_running=1)[1]
    scene.edit("namespaces", QUOTA_NAMESPACE, {"$set": {"door_at": scene.long_ago()}})
    return scene.age(task_id)


def _over_quota(scene: Scene) -> str:
    """Two were let in where one may be."""
    let_in, held = scene.held(max_running=1)
    state = stored(scene.ledger, let_in)["admission"]
    scene.set(held, admission=state, queue=state["queue"], published_at=scene.now())
    return QUOTA_NAMESPACE


def idle_cancellation(scene: Scene) -> str:
    task_id = scene.waiting()
    scene.ledger.cancellations.request(task_id, actor="key:ops", reason=None)
    return scene.set(task_id, cancellation__requested_at=scene.long_ago())


def _late_force(scene: Scene) -> str:
    task_id = scene.running()
    scene.ledger.cancellations.request(task_id, actor="key:ops", reason=None)
    return scene.set(task_id, cancellation__deadline_at=scene.long_ago())


def _idle_suspension(scene: Scene) -> str:
    task_id = scene.waiting()
    scene.ledger.suspensions.request(task_id, actor="key:ops", reason=None, running=False)
    return scene.set(task_id, suspension__requested_at=scene.long_ago())


def _uncalled_parent(scene: Scene) -> str:
    return scene.set(scene.family(0)[0], fan_out__called_at=scene.long_ago())


def _untold_child(scene: Scene) -> str:
    parent_id, children = scene.family(1)
    child_id = claim(scene.ledger, children[0])[0].task_id
    scene.ledger.cancellations.request(parent_id, actor="key:ops", reason=None)
    scene.set(parent_id, cancellation__requested_at=scene.long_ago())
    return scene.age(child_id)


def _unserved(scene: Scene) -> str:
    return scene.mailbox("wh_unserved", due_at=scene.long_ago())


def _untold_news(scene: Scene) -> str:
    """Somebody asked to be told, and nobody told them in time."""
    scene.mailbox("wh_idle")
    return scene.set(scene.completed(), untold_since=scene.long_ago())


def _waiting_event(scene: Scene) -> str:
    scene.mailbox("wh_idle")
    event = {"_id": "evt_waiting", "waiting_since": scene.long_ago()}
    scene.database["outbox"].insert_one(event)
    return "evt_waiting"


def _unlooked_at(scene: Scene) -> str:
    """The mailbox is not due, although this has waited for long."""
    mailbox_id = scene.mailbox("wh_quiet")
    return scene.delivery(mailbox_id, updated_at=scene.long_ago())


def _looked_at_too_late(scene: Scene) -> str:
    mailbox_id = scene.mailbox("wh_slow", due_at=scene.now() + AGE)
    return scene.delivery(mailbox_id, updated_at=scene.long_ago())


def _endless_attempt(scene: Scene) -> str:
    attempts = [{"number": 1, "outcome": None}]
    return scene.delivery("wh_log", status="delivered", attempt_count=1, attempts=attempts)


def _orphan(scene: Scene) -> str:
    parent_id, children = scene.family(1)
    scene.forget(parent_id)
    return children[0].task_id


def _young_orphan(scene: Scene) -> str:
    parent_id, (child_id, other_id) = scene.concluded()
    scene.forget(parent_id)
    scene.forget(other_id)
    return child_id


def _outliving_child(scene: Scene) -> str:
    """Its parent failed while it planned, and ended nothing."""
    parent, by, children = scene.planned(1)
    scene.age(scene.ended(parent, by, Ending(TaskStatusEnum.FAILED)))
    return children[0].task_id


def _conclusion_beside_a_child(scene: Scene) -> str:
    parent_id, children = scene.family(1)
    move = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.COMPLETED, actor="worker:w1")
    assert scene.ledger.receipts.move(parent_id, move, sets={}, guard={})
    return children[0].task_id


def _child_that_ended_later(scene: Scene) -> str:
    child_id = scene.concluded()[1][0]
    late = scene.now() + AGE
    return scene.set(child_id, ended_at=late, updated_at=late, history__2__at=late)


def _missing_child(scene: Scene, index: int) -> str:
    parent_id, children = scene.concluded()
    scene.forget(children[index])
    return parent_id


def _stale(scene: Scene, collection: str, written_at: str) -> str:
    """Written by the attempt whose worker was lost, long after that."""
    make = scene.document if collection == "documents" else scene.failure
    effect_id = make(2, scene.lost())
    return scene.edit(collection, effect_id, {"$set": {written_at: scene.now() + AGE}})


def _unreceipted(scene: Scene) -> str:
    task_id = scene.completed()
    effect_id = scene.document(2, task_id)
    scene.forget(task_id)
    return effect_id


def _foreign_key(scene: Scene) -> str:
    task_id = scene.waiting()
    scene.redis.delete(KEY_PREFIX + task_id)
    scene.redis.set(KEY_PREFIX + task_id, "a text", ex=60)
    return task_id


def _endless(scene: Scene) -> str:
    task_id = scene.completed()
    assert scene.redis.persist(KEY_PREFIX + task_id)
    return task_id


Breach = Callable[[Scene], str]

# Each breaks its rule and no other, and returns the id of what breaks it.
BREACHES: Final[Mapping[Rule, Sequence[Breach]]] = {
    Rule.UNREADABLE: (
        lambda s: s.write(s.waiting(), {"$unset": {"version": 1}}),
        lambda s: s.set(s.waiting(), status="RESTING"),
        lambda s: s.set(s.waiting(), history=[{"seq": 1}]),
        lambda s: s.edit("documents", s.document(2), {"$unset": {"attempt": 1}}),
        lambda s: s.edit("failed_documents", s.failure(2), {"$set": {"failed_at": "today"}}),
    ),
    Rule.ILLEGAL_TRANSITION: (
        lambda s: s.push(s.waiting(), "PENDING", "ACTIVE", attempt=0),
        _illegal_first_step,
    ),
    Rule.TERMINAL_CHANGED: (
        _second_end,
        lambda s: s.set(s.completed(), status="FAILED"),
        lambda s: s.set(s.completed(), updated_at=s.now() + AGE, outputs=["forged"]),
    ),
    Rule.HISTORY_GAP: (
        lambda s: s.set(s.completed(), history__1__seq=3),
        lambda s: s.set(s.canceled(), history__1__from="SUSPENDED"),
        lambda s: s.set(s.waiting(), status="DRAFT"),
        lambda s: s.set(s.waiting(), history=[]),
    ),
    Rule.TIME_BACKWARDS: (lambda s: s.set(s.completed(), history__1__at=s.long_ago()),),
    Rule.VERSION_BEHIND: (lambda s: s.set(s.completed(), version=2),),
    Rule.ATTEMPT_GAP: (
        lambda s: s.set(s.completed(), attempt=2),
        lambda s: s.set(s.retried(), history__3__attempt=3),
        lambda s: s.set(s.retried(), history__2__attempt=2),
        lambda s: s.set(s.completed(), returns=1),
    ),
    Rule.TOO_MANY_ATTEMPTS: (_third_of_two, _too_many_conclusions),
    Rule.END_MARKS: (
        lambda s: s.write(s.completed(), {"$unset": {"expire_at": 1}}),
        lambda s: s.set(s.completed(), ended_at=None),
        lambda s: s.set(s.completed(), ended_at=s.now() + AGE),
        lambda s: s.set(s.waiting(), ended_at=s.now()),
        lambda s: s.set(s.running(), expire_at=s.now() + AGE),
    ),
    Rule.UNASKED_STOP: (
        lambda s: s.set(s.canceled(), cancellation=None),
        lambda s: s.set(s.suspended(), suspension=None),
    ),
    Rule.OUTCOME_MISSING: (
        lambda s: s.set(s.canceled(), cancellation__outcome=None),
        lambda s: s.set(s.canceled(), cancellation__outcome=UNREACHABLE),
    ),
    Rule.TWO_LEASES: (
        _shared_token,
        lambda s: s.push(s.running(), "PROCESSING", "PROCESSING", attempt=2),
        lambda s: s.set(s.running(), last_token="of-another"),
    ),
    Rule.LEASE_ON_IDLE_TASK: (
        lambda s: s.set(s.completed(), lease=_lease_of_another(s), last_token="of-nobody-else"),
        lambda s: s.set(s.waiting(), lease=_lease_of_another(s), last_token="of-nobody-else"),
    ),
    Rule.RUNNING_WITHOUT_LEASE: (lambda s: s.set(s.running(), lease=None),),
    Rule.OVERDUE: (
        lambda s: s.set(s.running(), lease__expires_at=s.long_ago()),
        lambda s: s.age(s.waiting()),
        _unsent,
        _late_retry,
        _shut_door,
        idle_cancellation,
        _late_force,
        _idle_suspension,
        _uncalled_parent,
        _untold_child,
        _unserved,
        _untold_news,
        _waiting_event,
    ),
    Rule.OVER_QUOTA: (_over_quota,),
    Rule.ORPHAN_CHILD: (_orphan, _young_orphan),
    Rule.CHILD_OUTLIVES_PARENT: (_outliving_child,),
    Rule.CONCLUDED_EARLY: (_conclusion_beside_a_child, _child_that_ended_later),
    Rule.CHILDREN_INCOMPLETE: (lambda s: _missing_child(s, 0), lambda s: _missing_child(s, 1)),
    Rule.STALE_EFFECT: (
        lambda s: _stale(s, "documents", "updated_at"),
        lambda s: _stale(s, "failed_documents", "failed_at"),
        lambda s: s.edit("documents", s.document(2), {"$set": {"attempt": 2}}),
        lambda s: s.edit("documents", s.document(2), {"$set": {"attempt": 0}}),
    ),
    Rule.DOUBLE_EFFECT: (
        lambda s: s.twin("documents", s.document(2), "doc_0"),
        lambda s: s.twin("failed_documents", s.failure(2), "fail_z"),
    ),
    Rule.EFFECT_WITHOUT_RECEIPT: (_unreceipted,),
    Rule.UNTOLD: (
        lambda s: s.write(s.waiting(), {"$unset": {"untold_since": 1}}),
        lambda s: s.set(s.completed(), untold_since=s.now() + AGE),
    ),
    Rule.FORGOTTEN_DELIVERY: (
        lambda s: s.delivery("wh_gone", updated_at=s.long_ago()),
        _unlooked_at,
        _looked_at_too_late,
    ),
    Rule.GAP_IN_LOG: (
        lambda s: s.delivery("wh_log", status="delivered", attempt_count=1),
        _endless_attempt,
    ),
    Rule.COPY_AHEAD: (lambda s: s.copy(s.running(), version=9),),
    Rule.COPY_DIFFERS: (
        lambda s: s.says(s.running(), status="COMPLETED"),
        lambda s: s.says(s.completed(), attempt=2),
        lambda s: s.copy(s.completed(), terminal=0),
        lambda s: s.copy(s.completed(), namespace="ns_other"),
        lambda s: s.copy(s.completed(), body="{"),
        _foreign_key,
    ),
    Rule.COPY_WITHOUT_RECEIPT: (
        lambda s: s.forget(s.waiting(), copy=False),
        lambda s: s.forget(s.completed(), copy=False),
    ),
    Rule.COPY_WITHOUT_END: (_endless,),
}

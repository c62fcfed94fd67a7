"""A verification finds each broken rule, at whom it is broken, and nothing where none is."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from pymongo.database import Database
from redis import Redis

from app.audit.allowance import Allowance
from app.audit.archive import ROWS_PER_READ, Archive
from app.audit.copy_archive import COPIES_PER_READ, CopyArchive
from app.audit.receipt_round import ReceiptRound
from app.audit.report import Findings, Report
from app.audit.verify import verify
from app.audit.violation import PROMISES, Rule
from app.database import Document
from app.embedded.port import free_ports
from app.receipts.cache import KEY_PREFIX
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending
from tests.integration.breach import BREACHES, Breach, idle_cancellation
from tests.integration.receipts import brief, claim, create, expired, opened, stored
from tests.integration.scene import Scene
from tests.stack import WAYBILL, clean_environment

# A Redis database of these tests alone: a verification looks at all copies that there are.
REDIS_DATABASE = "/9"
ALLOWANCE = Allowance(margin=timedelta(hours=1), second_look=timedelta(0))


@pytest.fixture
def own_redis_url(redis_url: str) -> str:
    return urlunsplit(urlsplit(redis_url)._replace(path=REDIS_DATABASE))


@pytest.fixture
def scene(database: Database[Document], own_redis_url: str) -> Iterator[Scene]:
    with (
        opened(database, own_redis_url) as ledger,
        Redis.from_url(own_redis_url, socket_timeout=30) as redis,
    ):
        redis.flushdb()
        yield Scene(ledger, database, redis)


def live(scene: Scene) -> None:
    """What stores do to receipts in a day, all by the rules."""
    scene.waiting()
    scene.running()
    scene.canceled()
    scene.suspended()
    scene.held("ns_busy", max_running=2)
    scene.document(1, scene.completed())
    scene.failure(1, scene.retried())
    scene.lost()
    resumed = scene.suspended()
    assert scene.ledger.suspensions.resume(resumed, actor="key:ops")
    lone, by = claim(scene.ledger, create(scene.ledger))
    scene.ledger.cancellations.request(lone.task_id, actor="key:ops", reason=None)
    canceled = Ending(TaskStatusEnum.CANCELED, outcome="at its own checkpoint")
    scene.ended(lone, by, canceled)
    hopeless = create(scene.ledger, max_attempts=1)
    claim(brief(scene.ledger), hopeless)
    assert expired(scene.ledger, hopeless.task_id).status is TaskStatusEnum.FAILED
    scene.family()
    scene.concluded()
    killed, _ = scene.family()
    scene.ledger.killer.kill(killed, actor="key:ops", reason=None)
    paused, _ = scene.family()
    scene.ledger.suspensions.request(paused, actor="key:ops", reason=None, running=True)
    scene.ledger.suspensions.apply(paused)
    planning, by, _ = scene.planned()
    scene.ended(planning, by, Ending(TaskStatusEnum.FAILED, error_message="no plan"))
    scene.ledger.cancellations.end_children(planning.task_id, actor="worker:w1", reason=None)


def found(scene: Scene) -> Report:
    return verify(scene.database, scene.redis, allowance=ALLOWANCE)


def test_what_the_stores_do_breaks_no_rule(scene: Scene) -> None:
    live(scene)
    report = found(scene)
    assert report.violations == ()
    assert report.is_clean
    counted = scene.ledger.receipts.tasks.count_documents({})
    assert report.checked["receipts"] == report.checked["copies"] + missing(scene) == counted
    assert report.checked["transitions"] > counted
    assert report.checked["documents"] == report.checked["failed_documents"] == 1


def missing(scene: Scene) -> int:
    """Receipts that no copy was made of: children are stored and moved many at once."""
    ids = [row["_id"] for row in scene.ledger.receipts.tasks.find({}, {"_id": 1})]
    return sum(not scene.redis.exists(KEY_PREFIX + task_id) for task_id in ids)


CASES = [
    pytest.param(rule, breach, number == 0, id=f"{rule}-{number}")
    for rule, breaches in BREACHES.items()
    for number, breach in enumerate(breaches)
]


@pytest.mark.parametrize(("rule", "breach", "among_others"), CASES)
def test_a_broken_rule_is_found(
    scene: Scene, rule: Rule, breach: Breach, among_others: bool
) -> None:
    """Each rule once among all that is well; what is broken in further ways, by itself."""
    if among_others:
        live(scene)
    subject_id = breach(scene)
    report = found(scene)
    assert [(one.rule, one.subject_id) for one in report.violations] == [(rule, subject_id)]
    assert report.violations[0].detail
    assert report.broken == {rule: 1}


def test_every_rule_is_broken_above_and_says_what_it_promises() -> None:
    assert set(BREACHES) == set(PROMISES) == set(Rule)


def test_what_is_within_its_margin_is_not_reported(scene: Scene) -> None:
    """Those that something is overdue at, and that a longer margin allows."""
    for breach in BREACHES[Rule.OVERDUE]:
        breach(scene)
    assert found(scene).broken == {Rule.OVERDUE: len(BREACHES[Rule.OVERDUE])}
    report = verify(
        scene.database, scene.redis, allowance=ALLOWANCE, margin=timedelta(days=1), listed=2
    )
    assert report.violations == ()


class Moving(Archive):
    """Something happens once, between two reads: after the `call`-th one of receipts by id."""

    def __init__(
        self, database: Database[Document], happens: Callable[[], object], *, call: int
    ) -> None:
        super().__init__(database)
        self._happens = happens
        self._calls_left = call

    def receipts(self, task_ids: Sequence[str]) -> dict[str, Document]:
        found = super().receipts(task_ids)
        self._calls_left -= 1
        if self._calls_left == 0:
            self._happens()
        return found


def found_while(scene: Scene, happens: Callable[[], object], *, call: int) -> Report:
    findings = Findings(10, Counter())
    archive = Moving(scene.database, happens, call=call)
    ReceiptRound(archive, CopyArchive(scene.redis), findings, ALLOWANCE).run()
    return findings.report()


def reap(scene: Scene) -> Callable[[], object]:
    scene.set(scene.running(), lease__expires_at=scene.long_ago())
    return scene.ledger.leases.reap


def cancel(scene: Scene) -> Callable[[], object]:
    task_id = idle_cancellation(scene)
    return lambda: scene.ledger.cancellations.apply(task_id)


def call_parent(scene: Scene) -> Callable[[], object]:
    scene.set(scene.family(0)[0], fan_out__called_at=scene.long_ago())
    return scene.ledger.families.overdue


def forget_family(scene: Scene) -> Callable[[], object]:
    """The parent is forgotten before its child."""
    parent_id, children = scene.family(1)
    scene.forget(parent_id)
    return lambda: scene.ledger.receipts.tasks.delete_one({"_id": children[0].task_id})


@pytest.mark.parametrize("suspect", [reap, cancel, call_parent, forget_family])
def test_what_is_taken_up_before_the_second_look_is_not_reported(
    scene: Scene, suspect: Callable[[Scene], Callable[[], object]]
) -> None:
    happens = suspect(scene)
    assert len(found(scene).violations) == 1
    assert found_while(scene, happens, call=1).violations == ()


def test_a_family_that_ends_while_it_is_looked_at_breaks_no_rule(scene: Scene) -> None:
    """The child is read before its end, its parent after its conclusion."""
    parent_id, children = scene.family(1)
    child, by = claim(scene.ledger, children[0])
    scene.set(child.task_id, lease__expires_at=scene.long_ago())  # a suspect, worth a second look

    def end() -> None:
        scene.ended(child, by)
        scene.conclude(parent_id)

    assert found_while(scene, end, call=2).violations == ()
    assert scene.ledger.receipts.get(parent_id).status is TaskStatusEnum.COMPLETED


def test_an_old_copy_and_old_effects_are_no_breach(scene: Scene) -> None:
    """Receipts are forgotten before what they left behind."""
    task_id = scene.completed()
    scene.document(1, task_id)
    scene.forget(task_id, copy=False)
    assert set(found(scene).broken) == {Rule.EFFECT_WITHOUT_RECEIPT, Rule.COPY_WITHOUT_RECEIPT}
    forgotten = Allowance(kept=timedelta(0), second_look=timedelta(0))
    assert verify(scene.database, scene.redis, allowance=forgotten).violations == ()


def test_a_long_queue_is_no_breach_and_an_empty_one_is(scene: Scene) -> None:
    task_id = scene.age(scene.waiting())
    scene.redis.lpush("test.jobs", "a message")
    assert found(scene).violations == ()
    scene.redis.delete("test.jobs")
    assert [one.subject_id for one in found(scene).violations] == [task_id]
    assert verify(scene.database, None, allowance=ALLOWANCE).violations == ()


def test_all_pages_are_read_and_what_lies_across_two(scene: Scene) -> None:
    receipt = stored(scene.ledger, scene.completed())
    count = ROWS_PER_READ + 1
    rows = [{**receipt, "_id": f"tsk_{number:04}"} for number in range(count - 2)]
    scene.ledger.receipts.tasks.insert_many([*rows, {**receipt, "_id": "tsk_z", "version": 1}])
    document_id = scene.document(0, receipt["_id"])
    document = scene.database["documents"].find_one({"_id": document_id})
    assert document is not None
    # In the order that they are read in, the two of one object are the last of a page and the
    # first of the next.
    objects = [{"_id": f"doc_{n}", "object_id": f"obj_z{n}"} for n in range(count - 2)]
    twin = {"_id": "doc_0_twin", "object_id": document["object_id"]}
    scene.database["documents"].insert_many([{**document, **each} for each in [*objects, twin]])
    report = found(scene)
    assert report.checked["receipts"] == report.checked["documents"] == count
    assert report.broken == {Rule.VERSION_BEHIND: 1, Rule.DOUBLE_EFFECT: 1}
    assert report.violations[0].subject_id == "tsk_z"


def test_copies_that_end_while_they_are_read_are_none(scene: Scene) -> None:
    for number in range(COPIES_PER_READ + 1):
        scene.redis.hset(f"{KEY_PREFIX}{number}", "version", 1)
    pages = CopyArchive(scene.redis).pages()
    assert len(next(pages)) == COPIES_PER_READ
    scene.redis.flushdb()
    assert list(pages) == [[]]


def test_more_breaches_than_are_listed_are_counted(scene: Scene) -> None:
    for _ in range(5):
        scene.set(scene.completed(), version=1)
    report = verify(scene.database, scene.redis, allowance=ALLOWANCE, listed=2)
    assert len(report.violations) == 2
    assert report.broken == {Rule.VERSION_BEHIND: 5}


def audit(*options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [WAYBILL, "audit", *options]
    environment = clean_environment({"COLUMNS": "200", **(env or {})})
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def env(scene: Scene, mongo_url: str, own_redis_url: str) -> dict[str, str]:
    return {
        "WAYBILL_MONGO_URL": mongo_url,
        "WAYBILL_MONGO_DATABASE": scene.database.name,
        "WAYBILL_REDIS_URL": own_redis_url,
    }


def test_the_command_says_what_it_checked_and_that_no_rule_is_broken(
    scene: Scene, env: dict[str, str]
) -> None:
    live(scene)
    done = audit("verify", "--margin-s", "3600", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()
    assert first.startswith("Checked ")
    assert first.endswith(" copies.")
    assert "1 documents, 1 failed documents" in first
    assert last == "No broken rule."


def test_the_command_lists_what_is_broken(
    scene: Scene, env: dict[str, str], tmp_path: Path
) -> None:
    for _ in range(3):
        scene.set(scene.completed(), version=1)
    ready = tmp_path / "ready.json"
    names = {"mongo_url": env["WAYBILL_MONGO_URL"], "redis_url": env["WAYBILL_REDIS_URL"]}
    ready.write_text(json.dumps({**names, "api_url": "elsewhere"}))
    database = {"WAYBILL_MONGO_DATABASE": env["WAYBILL_MONGO_DATABASE"]}
    done = audit("verify", "--ready-file", str(ready), "--listed", "2", env=database)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[2] == f"version-behind: 3 broken. {PROMISES[Rule.VERSION_BEHIND]}"
    assert [line.split("  ")[2] for line in lines[3:5]] == ["version 1 after 3 transitions"] * 2
    assert lines[5] == "  and 1 more"

    answer = json.loads(audit("verify", "--json", env=env).stdout)
    assert answer.keys() == {"checked", "broken", "violations"}
    assert answer["checked"]["receipts"] == 3
    assert answer["broken"] == {"version-behind": 3}
    assert all(one.keys() == {"rule", "subject_id", "detail"} for one in answer["violations"])


def test_the_command_prints_every_rule() -> None:
    done = audit("rules")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[0].strip() for line in done.stdout.splitlines()] == list(Rule)


def test_stores_that_cannot_be_read_are_one_sentence_and_exit_code_2(
    env: dict[str, str], tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    none = tmp_path / "none.json"
    nobody = f"127.0.0.1:{port}"
    cases: list[tuple[dict[str, str], list[str], str]] = [
        ({}, [], "WAYBILL_REDIS_URL is not set"),
        ({**env, "WAYBILL_REDIS_URL": f"redis://{nobody}"}, [], "Redis cannot be read"),
        ({**env, "WAYBILL_REDIS_URL": nobody}, [], "WAYBILL_REDIS_URL is not valid"),
        ({**env, "WAYBILL_MONGO_URL": f"mongodb://{nobody}"}, [], "MongoDB cannot be read"),
        (env, ["--ready-file", str(none)], f"{none} cannot be read"),
    ]
    with ThreadPoolExecutor() as pool:  # two of them wait for a server that is not there
        results = list(pool.map(lambda case: audit("verify", *case[1], env=case[0]), cases))
    for (_, _, sentence), done in zip(cases, results, strict=True):
        assert (done.returncode, done.stdout) == (2, ""), done
        assert done.stderr.startswith(f"waybill audit verify: {sentence}")
        assert done.stderr.count("\n") == 1

"""What the API answers to anything at all: never a 5xx, never another shape than it says.

Of schemathesis' checks these are left out: `positive_data_acceptance`, since a request may fit its
schema and name what is not there, and those that follow resources from call to call, which other
tests do.
"""

import logging
import random
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

import httpx
import pytest
import schemathesis
from pymongo.database import Database
from schemathesis import Case, HookContext
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from app.database import Document
from app.embedded.port import LOOPBACK, accepts, free_ports
from app.receipts.job_type import JobType, JobTypeStore
from tests.integration.conftest import SECRET_KEY
from tests.integration.supply import TASK_TYPE, Supply
from tests.polling import poll
from tests.stack import clean_environment

log = logging.getLogger(__name__)

SEED: Final = 4711
AT_LEAST: Final = 2_000  # cases
# Schemathesis' own limit is ten seconds: fewer than a busy machine takes to make the document.
ANSWER_WITHIN_S: Final = 60
RANDOM_CASES: Final = 3  # of each operation, beside the examples and the cases at the bounds

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "ignored_auth",
)
# Bodies with filters nest without end: their bounds are hundreds of cases, walked for one of them.
NESTED: Final = (
    "list_tasks",
    "list_buckets",
    "list_objects",
    "list_batches",
    "list_collections",
    "list_namespaces",
    "list_keys",
    "list_documents",
    "aggregate_documents",
    "create_batch",
    "add_objects",
    "kill_tasks",
    "list_migrations",
    "create_migration",  # its configuration is walked where it is validated
    "patch_collection",  # and what it may change where it is created
    "list_clusters",
    "create_cluster",
    "patch_cluster",
    "execute_cluster",
    "list_executions",
    "list_members",
    "list_taxonomies",
    "create_taxonomy",
    "add_version",
    "execute_taxonomy",
    "execute_taxonomy_by_kind",
    "materialize_taxonomy",
    "apply_taxonomy",
    "list_webhooks",
    "put_webhook",  # its body is walked where a webhook is created
    "list_deliveries",
    "replay_deliveries",
    "purge_deliveries",
)
# Ids come from `Supply`: one of a task that never ends would hold its event stream open.
ALONE: Final = {"extra-data-sources": {"responses": False}}
# One bad object stops no other: the answer is a success that says what is wrong with it.
PARTIAL: Final = ("create_objects",)
# No Beat ticks here.
NEVER_WELL: Final = frozenset({"GET /v1/health/beat"})


@dataclass(slots=True)
class Tally:
    """Cases and successes by operation, and what was wrong."""

    cases: Counter[str] = field(default_factory=Counter)
    successes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, happened: Iterable[events.EngineEvent]) -> Self:
        """The tally of a whole run."""
        tally = cls()
        for event in happened:
            match event:
                case events.ScenarioFinished():
                    tally._add(event)
                case events.NonFatalError():
                    tally.faults.append(f"{event.label}: {event.value!r}")
                case events.FatalError():
                    tally.faults.append(repr(event.exception))
        return tally

    def _add(self, event: events.ScenarioFinished) -> None:
        recorder = event.recorder
        for case_id, checks in recorder.checks.items():
            case = recorder.cases[case_id].value
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    self.faults.append(f"{check.name}: {failure}\n{case.as_curl_command()}")
        for case_id, interaction in recorder.interactions.items():
            label = recorder.cases[case_id].value.operation.label
            self.cases[label] += 1
            response = interaction.response
            self.successes[label] += response is not None and response.status_code < 300


@pytest.fixture
def key() -> str:
    return f"sk_{secrets.token_hex(16)}"


@pytest.fixture
def url(
    key: str,
    mongo_url: str,
    redis_url: str,
    postgres_url: str,
    database: Database[Document],
) -> Iterator[str]:
    """An API in a process of its own: schemathesis and it would share one interpreter's lock."""
    (port,) = free_ports(1)
    env = {
        "WAYBILL_API_KEY": key,
        "WAYBILL_MONGO_URL": mongo_url,
        "WAYBILL_MONGO_DATABASE": database.name,
        "WAYBILL_REDIS_URL": redis_url,
        "WAYBILL_POSTGRES_URL": postgres_url,
        "WAYBILL_SECRET_KEY": SECRET_KEY,
        "WAYBILL_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "uvicorn", "app.main:create_app", "--factory"]
    options = ["--host", LOOPBACK, "--port", str(port), "--log-level", "error"]
    with subprocess.Popen([*command, *options], env=clean_environment(env)) as process:
        poll(
            lambda: accepts(port) or process.poll() is not None,
            description="the API accepts connections",
            within_s=60,
        )
        yield f"http://{LOOPBACK}:{port}"
        process.terminate()


@contextmanager
def before_each_call(change: Callable[[Case], None]) -> Iterator[None]:
    """Schemathesis takes this hook globally only: after the block it is gone."""

    def before_call(_: HookContext, case: Case, __: dict[str, Any]) -> None:
        change(case)

    schemathesis.hook(before_call)
    try:
        yield
    finally:
        schemathesis.hooks.unregister(before_call)


def configuration(key: str) -> SchemathesisConfig:
    generation = {"max-examples": RANDOM_CASES, "no-shrink": True, "deterministic": True}
    no_bounds = {"coverage": {"enabled": False}}
    not_well = {"not_a_server_error": {"enabled": False}}
    partial = {"negative_data_rejection": {"enabled": False}}
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "request-timeout": ANSWER_WITHIN_S,
            "generation": generation,
            "headers": {"Authorization": f"Bearer {key}"},
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
            "phases": {
                "examples": ALONE,
                "coverage": ALONE,
                "fuzzing": ALONE,
                "stateful": {"enabled": False},
            },
            "operations": [
                {"include-operation-id": list(NESTED), "phases": no_bounds},
                {"include-operation-id": list(PARTIAL), "checks": partial},
                {"include-name": sorted(NEVER_WELL), "checks": not_well},
            ],
        }
    )


def test_fuzz(url: str, key: str, database: Database[Document], postgres_url: str) -> None:
    kind = JobType(TASK_TYPE, "jobs", 3, submittable=True, suspendable=True)
    JobTypeStore(database).register([kind])
    schema = schemathesis.openapi.from_url(
        f"{url}/openapi.json", config=configuration(key), timeout=ANSWER_WITHIN_S
    )
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=ANSWER_WITHIN_S) as client:
        supply = Supply(client, database, postgres_url, random.Random(SEED))
        with before_each_call(lambda case: supply.fill(case, operation_id(case))):
            tally = Tally.of(from_schema(schema).execute())
    log.info("seed %d, %d cases", SEED, tally.cases.total())
    for label, count in sorted(tally.cases.items()):
        log.info("%s: %d of %d succeeded", label, tally.successes[label], count)
    assert not tally.faults, "\n\n".join(tally.faults[:20])
    assert tally.cases.total() >= AT_LEAST
    assert {label for label in tally.cases if not tally.successes[label]} <= NEVER_WELL


def operation_id(case: Case) -> str:
    found: str = case.operation.definition.raw["operationId"]
    return found

"""The doctor on real servers: well ones, ones that lack something, and ones that are away."""

import json
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from pymongo.database import Database
from redis import Redis

from app.broker import JOB_QUEUES, QUEUES
from app.database import Document
from app.doctor.examination import examine
from app.doctor.finding import Finding, Verdict
from app.doctor.fleet import look_at_processes, look_at_queues
from app.doctor.machine import look_at_folders, look_at_imports, look_at_secrets, look_at_servers
from app.doctor.mongodb import look_at_mongodb
from app.doctor.postgres import look_at_postgres
from app.doctor.redis_server import look_at_redis
from app.doctor.subject import Subject
from app.embedded.port import LOOPBACK, free_ports
from app.embedded.server import running
from app.settings import Settings
from app.stores import Stores
from app.tracking.schema import apply_migrations
from app.tracking.spooling.drain import REFUSED
from tests.integration.receipts import own_valkey
from tests.stack import WAYBILL, clean_environment


def subject(settings: Settings, **changes: object) -> Subject:
    """An installation of these settings, changed."""
    return Subject(settings.model_copy(update=changes), None, None, is_up=False)


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    """The findings by name, of which each must have been looked at once."""
    assert len({finding.check for finding in findings}) == len(findings), findings
    return {finding.check: finding for finding in findings}


def verdicts(findings: list[Finding]) -> dict[str, Verdict]:
    return {check: finding.verdict for check, finding in by_check(findings).items()}


def test_a_database_that_the_api_made_is_well(settings: Settings, stores: Stores) -> None:
    """Every index that a store makes is expected, and no other."""
    found = verdicts(look_at_mongodb(subject(settings)))
    assert found == dict.fromkeys(
        (
            "mongodb",
            "mongodb.replica_set",
            "mongodb.clock",
            "mongodb.transactions",
            "mongodb.write",
            "mongodb.indexes",
        ),
        Verdict.OK,
    )


def test_missing_and_surplus_indexes_are_named(
    settings: Settings, stores: Stores, database: Database[Document]
) -> None:
    database["tasks"].drop_index("expired")
    database["buckets"].create_index([("old", 1)])
    missing, surplus = (
        each for each in look_at_mongodb(subject(settings)) if each.check == "mongodb.indexes"
    )
    assert missing.verdict is Verdict.FAIL
    assert missing.detail == "1 is missing: tasks.expired"
    assert surplus.verdict is Verdict.WARN
    assert surplus.detail == "1 is not of this version: buckets.old_1"


def test_servers_that_are_away_are_told_without_their_urls(settings: Settings) -> None:
    ports = free_ports(3)
    urls = {
        name: f"{scheme}://me:hunter2@{LOOPBACK}:{port}/"
        for name, scheme, port in zip(
            ("mongo_url", "redis_url", "postgres_url"),
            ("mongodb", "redis", "postgresql"),
            ports,
            strict=True,
        )
    }
    findings = examine(subject(settings, **urls))
    found = {each.check: each.verdict for each in findings}
    for check in ("mongodb", "redis", "postgres", "queues", "workers"):
        assert found[check] is Verdict.FAIL, check
    assert all(each.advice for each in findings if each.verdict is not Verdict.OK)
    assert "hunter2" not in str(findings)
    assert LOOPBACK not in str(findings)


@pytest.mark.parametrize("url", ["mongodb://", "nonsense"])
def test_what_is_no_url_is_told(settings: Settings, url: str) -> None:
    found = by_check(look_at_mongodb(subject(settings, mongo_url=url)))
    assert found["mongodb"].verdict is Verdict.FAIL
    found = by_check(look_at_redis(subject(settings, redis_url="nonsense")))
    assert found["redis"].verdict is Verdict.FAIL


def test_redis_that_throws_away_or_forgets_is_told(settings: Settings, tmp_path: Path) -> None:
    layout, valkey = own_valkey(tmp_path)
    with running(layout, [valkey]), Redis.from_url(valkey.url) as redis:
        examined = subject(settings, redis_url=valkey.url)
        assert set(verdicts(look_at_redis(examined)).values()) == {Verdict.OK}
        redis.config_set("maxmemory-policy", "allkeys-lru")
        redis.config_set("appendonly", "no")
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] + 1024)
        found = verdicts(look_at_redis(examined))
    assert found["redis.eviction"] is Verdict.FAIL
    assert found["redis.persistence"] is Verdict.WARN
    assert found["redis.memory"] is Verdict.WARN
    assert found["redis"] is Verdict.OK


def test_a_wrong_password_of_redis_is_told(settings: Settings, redis_url: str) -> None:
    wrong = f"redis://:hunter2@{redis_url.rpartition('@')[2]}"
    (finding,) = look_at_redis(subject(settings, redis_url=wrong))
    assert finding.verdict is Verdict.FAIL
    assert "password" in finding.detail
    assert "hunter2" not in str(finding)


def test_workers_and_beat_are_well_once_heard(settings: Settings, stores: Stores) -> None:
    silent = verdicts(look_at_processes(subject(settings)))
    assert set(silent.values()) == {Verdict.FAIL}
    stores.ledger.pulse.beat("w1", queues=list(QUEUES), slots=2)
    stores.ledger.pulse.beat()
    heard = verdicts(look_at_processes(subject(settings)))
    assert heard == dict.fromkeys(silent, Verdict.OK)


def test_a_queue_that_no_worker_serves_is_named(settings: Settings, stores: Stores) -> None:
    *most, last = JOB_QUEUES
    stores.ledger.pulse.beat("w1", queues=most, slots=2)
    jobs = by_check(look_at_processes(subject(settings)))["workers.jobs"]
    assert jobs.verdict is Verdict.FAIL
    assert last in jobs.detail
    assert most[0] not in jobs.detail.split()


def test_queues_are_counted(settings: Settings) -> None:
    (finding,) = look_at_queues(subject(settings))
    assert finding.verdict is Verdict.OK


def test_modules_are_imported_as_workers_do(settings: Settings) -> None:
    modules = ("tests.integration.jobs_for_tests", "no_such_module_here")
    found, lost = look_at_imports(subject(settings, imports=modules))
    assert found.verdict is Verdict.OK
    assert lost.verdict is Verdict.FAIL
    assert "No module named 'no_such_module_here'" in lost.detail


def test_folders_must_be_there(settings: Settings, tmp_path: Path) -> None:
    roots = (tmp_path, tmp_path / "nowhere")
    changed = {"file_roots": roots, "data_dir": tmp_path / "new" / "data"}
    there, lost, data = look_at_folders(subject(settings, **changed))
    assert there.verdict is Verdict.OK
    assert lost.verdict is Verdict.FAIL
    assert data.detail.startswith(str(tmp_path / "new" / "data"))


def test_a_folder_that_cannot_be_looked_at_is_told(settings: Settings, tmp_path: Path) -> None:
    too_long = tmp_path / ("x" * 300)
    changed = {"file_roots": (tmp_path, too_long), "data_dir": too_long}
    found = [each.verdict for each in look_at_folders(subject(settings, **changed))]
    assert found == [Verdict.OK, Verdict.FAIL, Verdict.FAIL]


def test_what_breaks_a_look_is_told_on_stderr_without_secrets() -> None:
    urls = {"WAYBILL_REDIS_URL": "nonsense://:hunter2@host", "WAYBILL_DATA_DIR": "/nowhere"}
    done = subprocess.run(
        [WAYBILL, "doctor", "--json"],
        env=clean_environment(urls),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    checks = {each["check"]: each["detail"] for each in json.loads(done.stdout)["checks"]}
    assert checks["queues"] == "could not be examined (KeyError)"  # Celery's, of such a URL
    assert "Traceback" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_the_tables_of_runs_are_missed_where_no_worker_made_them(
    settings: Settings, postgres_url: str
) -> None:
    examined = subject(settings, postgres_url=postgres_url)
    found = verdicts(look_at_postgres(examined))
    assert found == {"postgres": Verdict.OK, "postgres.tables": Verdict.WARN}
    with closing(psycopg.connect(postgres_url)) as connection:
        apply_migrations(connection)
    assert set(verdicts(look_at_postgres(examined)).values()) == {Verdict.OK}


def test_a_spool_is_looked_at_where_runs_are_recorded(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "not there yet" / "spool"
    examined = subject(settings, postgres_url=f"postgresql://{LOOPBACK}/", spool_dir=folder)
    assert verdicts(look_at_folders(examined)) == {"spool": Verdict.OK}
    folder.mkdir(parents=True)
    (folder / REFUSED).write_text("{}\n")
    finding = by_check(look_at_folders(examined))["spool"]
    assert (finding.verdict, "refused" in finding.detail) == (Verdict.WARN, True)
    (tmp_path / "file").write_text("")
    examined = subject(
        settings, postgres_url=f"postgresql://{LOOPBACK}/", spool_dir=tmp_path / "file"
    )
    finding = by_check(look_at_folders(examined))["spool"]
    assert (finding.verdict, "cannot be written" in finding.detail) == (Verdict.WARN, True)


def test_secrets_that_nobody_makes_must_be_set(settings: Settings) -> None:
    ours = {"postgres_url": f"postgresql://{LOOPBACK}/"}
    assert set(verdicts(look_at_secrets(subject(settings, **ours))).values()) == {Verdict.WARN}
    secrets = {"api_key": SecretStr("sk_short"), "flower_password": SecretStr("p" * 32)}
    found = verdicts(look_at_secrets(subject(settings, **ours, **secrets)))
    assert found["secrets.api_key"] is Verdict.WARN
    assert found["secrets.flower_password"] is Verdict.OK


def test_embedded_servers_are_looked_at_where_no_url_replaces_them(settings: Settings) -> None:
    assert verdicts(look_at_servers(subject(settings))) == {"embedded.postgres": Verdict.OK}
    alone = subject(settings, mongo_url=None, redis_url=None)
    assert set(verdicts(look_at_servers(alone)).values()) == {Verdict.OK}

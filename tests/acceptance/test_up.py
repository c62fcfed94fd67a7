"""`waybill up` as people start, stop and lose it."""

import json
import os
import re
import signal
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import redis
from pymongo import MongoClient

from app.embedded.record import is_alive
from tests.polling import poll
from tests.stack import Stack, clean_environment, running_stack, up_command

ROLES = {
    *("api", "worker", "control", "webhook", "beat", "flower"),
    *("mongo", "redis", "postgres"),
}
ROOM_S = timedelta(minutes=4).total_seconds()


def living_sessions(sessions: set[int]) -> list[str]:
    """Processes of these sessions that still run; prefork children are in their parent's."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) in sessions and is_alive(process):
                found.append(f"{process.pid} {process.name()}")
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return found


def write_everywhere(stack: Stack) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(stack.mongo_url)
    with client, client.start_session() as session, session.start_transaction():
        client.trial.notes.insert_one({"_id": 1, "text": "kept"}, session=session)
    with psycopg.connect(stack.postgres_url) as connection:
        connection.execute("CREATE TABLE trial AS SELECT 'kept' AS text")
    with redis.Redis.from_url(stack.redis_url, decode_responses=True) as cache:
        cache.set("trial", "kept")


def read_everywhere(stack: Stack) -> list[object]:
    client: MongoClient[dict[str, Any]] = MongoClient(stack.mongo_url)
    with client:
        note = client.trial.notes.find_one({"_id": 1})
    with psycopg.connect(stack.postgres_url) as connection:
        row = connection.execute("SELECT text FROM trial").fetchone()
    with redis.Redis.from_url(stack.redis_url, decode_responses=True) as cache:
        key = cache.get("trial")
    return [note and note["text"], row and row[0], key]


@pytest.mark.timeout(ROOM_S)
def test_sigterm_leaves_no_process_and_the_next_start_finds_all_data(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data") as first:
        pids = first.pids()
        sessions = set(pids.values())
        assert set(pids) == ROLES
        poll(
            lambda: len(living_sessions(sessions)) > len(ROLES),
            description="prefork children are among the processes looked for",
            within_s=20,
        )
        write_everywhere(first)
    assert first.process.returncode == 0
    assert living_sessions(sessions) == []
    assert not (tmp_path / "data" / "ready.json").exists()
    assert not (tmp_path / "data" / "run" / "connection.json").exists()

    with running_stack(tmp_path / "data") as second:
        assert read_everywhere(second) == ["kept", "kept", "kept"]
        assert second.api_key == first.api_key
        assert second.flower_password == first.flower_password
    assert second.process.returncode == 0


@pytest.mark.timeout(ROOM_S)
def test_after_sigkill_the_next_start_ends_what_was_left_and_finds_all_data(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data") as first:
        write_everywhere(first)
        sessions = set(first.pids().values())
        first.process.kill()
        first.process.wait()
        assert living_sessions(sessions) != []  # nobody was there to stop them

    with running_stack(tmp_path / "data") as second:
        assert living_sessions(sessions) == []
        assert read_everywhere(second) == ["kept", "kept", "kept"]


@pytest.mark.timeout(ROOM_S)
def test_a_server_a_worker_and_the_api_that_die_are_started_again(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data") as stack:
        for role in ("redis", "mongo", "worker", "api"):
            stack.kill(role)
        poll(lambda: is_well(stack), description="health is OK again", within_s=60)
        assert set(stack.pids()) == ROLES
        ready = json.loads((tmp_path / "data" / "ready.json").read_text())
        assert ready["pids"] == stack.pids()


@pytest.mark.timeout(ROOM_S)
def test_what_runs_is_closed_to_those_without_the_passwords(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data", workers=1) as stack:
        second = subprocess.run(
            up_command(stack.data_dir), env=clean_environment(), capture_output=True, text=True
        )
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert "another `waybill up` runs on" in second.stderr
        assert stack.process.poll() is None

        assert httpx.get(stack.flower_url).status_code == httpx.codes.UNAUTHORIZED
        login = (stack.flower_user, stack.flower_password)
        assert httpx.get(stack.flower_url, auth=login, follow_redirects=True).is_success

        bare = stack.redis_url.partition("@")[2]
        with (
            redis.Redis.from_url(f"redis://{bare}") as cache,
            pytest.raises(redis.AuthenticationError),
        ):
            cache.ping()
        for file in ("api_key", "flower_password", "ready.json"):
            assert (stack.data_dir / file).stat().st_mode & 0o077 == 0
        lines = [" ".join(psutil.Process(pid).cmdline()) for pid in stack.pids().values()]
        assert not any(stack.flower_password in line or stack.api_key in line for line in lines)


@pytest.mark.timeout(60)
def test_a_bad_setting_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        up_command(tmp_path / "data"),
        env=clean_environment({"WAYBILL_LEASE_S": "abc"}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("waybill up: WAYBILL_LEASE_S='abc' is not valid")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.timeout(60)
def test_an_api_that_cannot_listen_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    done = subprocess.run(
        up_command(data_dir),
        env=clean_environment({"WAYBILL_API_HOST": "192.0.2.1"}),  # RFC 5737: nobody's address
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    log = data_dir / "logs" / "api.log"
    expected = rf"waybill up: api ended with exit code \d+ while starting; its log is {log}\n"
    assert re.fullmatch(expected, done.stderr)
    assert json.loads((data_dir / "run" / "processes.json").read_text()) == []


@pytest.mark.timeout(60)
def test_ctrl_c_while_starting_stops_cleanly(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    process = subprocess.Popen(
        up_command(data_dir), env=clean_environment(), stdout=subprocess.DEVNULL
    )
    processes = data_dir / "run" / "processes.json"
    poll(processes.exists, description="the first server has started", within_s=20)
    sessions = {entry["pid"] for entry in json.loads(processes.read_text())}
    process.send_signal(signal.SIGINT)
    assert process.wait(40) == 0
    assert living_sessions(sessions) == []


def is_well(stack: Stack) -> bool:
    try:
        answer = httpx.get(f"{stack.api_url}/v1/health")
    except httpx.HTTPError:
        return False
    return bool(answer.json()["status"] == "OK")

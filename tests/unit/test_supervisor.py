"""The supervisor and the record, over real processes that do next to nothing."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.embedded import record
from app.embedded.program import Child, Program, StartError
from app.embedded.supervisor import (
    FIRST_DELAY_S,
    LONGEST_DELAY_S,
    STEADY_AFTER_S,
    Supervisor,
    restart_delay_s,
)
from tests.polling import poll

FOREVER = "import signal; signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); signal.pause()"
)
PARENT = (
    "import subprocess, sys;"
    f"child = subprocess.Popen([sys.executable, '-c', {FOREVER!r}]);"
    "print(child.pid, flush=True); child.wait()"
)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def program(folder: Path, code: str, *, role: str = "trial") -> Program:
    env = {"PATH": os.defpath, record.MARK: str(folder)}
    return Program(role, (sys.executable, "-c", code), env, folder, folder / f"{role}.log")


def printed(folder: Path, *, role: str = "trial") -> str:
    return poll(
        (folder / f"{role}.log").read_text, description=f"{role} has printed", within_s=20
    ).strip()


def has_ended(pid: int) -> bool:
    try:
        return not record.is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


@given(failures=st.integers(min_value=1, max_value=10_000))
def test_the_delay_of_a_restart_grows_within_its_bounds(failures: int) -> None:
    delay_s = restart_delay_s(failures)
    assert FIRST_DELAY_S <= delay_s <= LONGEST_DELAY_S
    assert delay_s <= restart_delay_s(failures + 1) <= 2 * delay_s


def test_what_ends_is_started_again_after_a_delay_that_grows(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    supervisor = Supervisor(tmp_path / "record", say=said.append, clock=clock)
    supervisor.start(program(tmp_path, "raise SystemExit(3)"))
    delays_s = []
    for _ in range(3):
        poll(lambda: not supervisor.pids(), description="it has ended", within_s=20)
        assert supervisor.tick()
        began_s = clock.now_s
        clock.now_s += 0.49
        while not supervisor.tick():
            clock.now_s += 0.01
        delays_s.append(round(clock.now_s - began_s, 1))
    supervisor.stop(["trial"], grace_s=5)
    assert delays_s == [0.5, 1.0, 2.0]
    assert said[0].startswith("trial ended with exit code 3; it starts again in 0.5 s (log: ")


def test_a_steady_run_forgets_earlier_failures(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    supervisor = Supervisor(tmp_path / "record", say=said.append, clock=clock)
    supervisor.start(program(tmp_path, FOREVER))
    for _ in range(2):
        clock.now_s += STEADY_AFTER_S
        os.kill(supervisor.pids()["trial"], signal.SIGKILL)
        poll(lambda: not supervisor.pids(), description="it has ended", within_s=20)
        assert supervisor.tick()
        clock.now_s += FIRST_DELAY_S
        assert supervisor.tick()
    supervisor.stop(["trial"], grace_s=5)
    assert [line.partition(";")[2][:26] for line in said] == [" it starts again in 0.5 s "] * 2


def test_stop_kills_who_does_not_listen(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "record", say=lambda _: None)
    supervisor.start(program(tmp_path, STUBBORN))
    printed(tmp_path)
    pid = supervisor.pids()["trial"]
    supervisor.stop(["trial"], grace_s=0.2)
    assert has_ended(pid)
    assert supervisor.roles() == []
    assert record.read(tmp_path / "record") == []


def test_children_of_a_process_that_died_go_with_it(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "record", say=lambda _: None)
    supervisor.start(program(tmp_path, PARENT))
    grandchild = int(printed(tmp_path))
    os.kill(supervisor.pids()["trial"], signal.SIGKILL)
    poll(lambda: not supervisor.pids(), description="the parent has ended", within_s=20)
    poll(lambda: has_ended(grandchild), description="the grandchild has ended", within_s=20)
    supervisor.stop(["trial"], grace_s=5)
    assert has_ended(grandchild)


def test_an_early_end_is_told_with_role_code_and_log(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "record", say=lambda _: None)
    supervisor.start(program(tmp_path, "raise SystemExit(7)"))
    poll(lambda: not supervisor.pids(), description="it has ended", within_s=20)
    log = tmp_path / "trial.log"
    with pytest.raises(StartError, match=f"^trial ended with exit code 7 .*{log}$"):
        supervisor.require_all()


def test_a_program_that_does_not_exist_is_a_start_error(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "record", say=lambda _: None)
    missing = Program("trial", (str(tmp_path / "none"),), {}, tmp_path, tmp_path / "log")
    with pytest.raises(StartError, match=r"^trial cannot be started: "):
        supervisor.start(missing)


def test_leftovers_end_with_their_group(tmp_path: Path) -> None:
    child = Child(program(tmp_path, PARENT))
    grandchild = int(printed(tmp_path))
    record.write(tmp_path / "record", [child])
    assert record.end_leftovers(tmp_path / "record", data_dir=tmp_path) == ["trial"]
    assert child.exit_code() == -signal.SIGTERM
    assert has_ended(grandchild)
    assert record.end_leftovers(tmp_path / "record", data_dir=tmp_path) == []


def test_a_group_whose_leader_is_gone_ends_too(tmp_path: Path) -> None:
    env = {record.MARK: str(tmp_path)}
    with (tmp_path / "trial.log").open("wb") as log:
        leader = subprocess.Popen(
            [sys.executable, "-c", PARENT], env=env, stdout=log, start_new_session=True
        )
    grandchild = int(printed(tmp_path))
    began = psutil.Process(leader.pid).create_time()
    entry = record.Entry("trial", leader.pid, began, "SIGTERM")
    (tmp_path / "record").write_text(json.dumps([asdict(entry)]))
    leader.kill()
    leader.wait()
    assert not has_ended(grandchild)
    assert record.end_leftovers(tmp_path / "record", data_dir=tmp_path) == ["trial"]
    assert has_ended(grandchild)


def test_a_stranger_with_a_recorded_number_is_left_alone(tmp_path: Path) -> None:
    child = Child(program(tmp_path, FOREVER))
    record.write(tmp_path / "record", [child])
    text = (tmp_path / "record").read_text()
    began = str(psutil.Process(child.pid).create_time())
    (tmp_path / "record").write_text(text.replace(began, "1.5"))
    assert record.end_leftovers(tmp_path / "record", data_dir=tmp_path) == []
    assert child.exit_code() is None
    child.kill()
    assert child.exit_code() == -signal.SIGKILL

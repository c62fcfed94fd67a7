"""The processes of our own that `waybill up` runs, and their command lines."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.broker import CONTROL_QUEUE, HANDLERS_QUEUE, WEBHOOKS_QUEUE
from app.embedded.layout import Layout
from app.embedded.port import LOOPBACK, url_at
from app.embedded.program import Program

# In the order in which they are asked to end: who makes work first, who answers people last.
ROLES: Final = ("beat", "worker", "control", "webhook", "flower", "api")

# Celery's commands `worker` and `beat`, without the imports of all the others.
WORKER: Final = (sys.executable, "-m", "workers")
BEAT: Final = (sys.executable, "-m", "workers.clock_app")
FLOWER: Final = (sys.executable, "-m", "celery", "--app", "workers.clock_app", "flower")
FLOWER_TASKS: Final = 10_000  # 7 KiB each; its default keeps ten times as many
SIDE_THREADS: Final = 4  # control and deliveries mostly wait for a network
DRAIN_S: Final = 5  # a held `?wait=` answer or an event stream must not outlast the stop's grace
# Each goes to the one process that needs it: workers run other people's code.
KEYS: Final = frozenset(
    {"WAYBILL_API_KEY", "WAYBILL_SECRET_KEY", "WAYBILL_FLOWER_PASSWORD", "FLOWER_BASIC_AUTH"}
)


@dataclass(frozen=True, slots=True)
class Stack:
    """What the processes are told: where the servers are, where to listen, how many to be."""

    mongo_url: str
    redis_url: str
    postgres_url: str
    api_host: str
    api_port: int
    api_key: str
    secret_key: str
    flower_port: int
    flower_user: str
    flower_password: str
    workers: int

    @property
    def api_url(self) -> str:
        return url_at(self.api_host, self.api_port)

    @property
    def flower_url(self) -> str:
        return f"http://{LOOPBACK}:{self.flower_port}"


def programs(stack: Stack, layout: Layout, inherited: Mapping[str, str]) -> list[Program]:
    """One program for each of `ROLES`; they find everything from the environment they are given."""
    env = _environment(stack, layout, inherited)
    own = {
        "api": {"WAYBILL_API_KEY": stack.api_key, "WAYBILL_SECRET_KEY": stack.secret_key},
        "webhook": {"WAYBILL_SECRET_KEY": stack.secret_key},
        # Threads of a fit that wait for each other leave the CPUs to the other workers.
        "worker": {"OMP_WAIT_POLICY": env.get("OMP_WAIT_POLICY", "passive")},
        # By a variable, because a command line is readable by every user of the machine.
        "flower": {"FLOWER_BASIC_AUTH": f"{stack.flower_user}:{stack.flower_password}"},
    }
    lines = _command_lines(stack, layout)
    return [
        Program(
            role=role,
            argv=lines[role],
            env=env | own.get(role, {}),
            cwd=layout.run,  # Celery and uvicorn import from it first: no place for a stray `app`
            log=layout.log(role),
        )
        for role in ROLES
    ]


def _environment(stack: Stack, layout: Layout, inherited: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in inherited.items() if key not in KEYS}
    if path := kept.get("PYTHONPATH"):
        # Relative entries were meant from the folder we were started in.
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
    if not kept.get("WAYBILL_POSTGRES_URL"):
        kept.setdefault("WAYBILL_SPOOL_DIR", str(layout.spool))
    return kept | {
        "WAYBILL_MONGO_URL": stack.mongo_url,
        "WAYBILL_REDIS_URL": stack.redis_url,
        "WAYBILL_POSTGRES_URL": stack.postgres_url,
        "WAYBILL_DATA_DIR": str(layout.data_dir),
        "PYTHONUNBUFFERED": "1",  # the last lines before a crash reach the log
    }


def _command_lines(stack: Stack, layout: Layout) -> dict[str, tuple[str, ...]]:
    schedule = str(layout.run / "beat-schedule")
    # Without queues: a worker that names none takes from all of the jobs'.
    jobs = ("--pool", "prefork", "--concurrency", str(stack.workers))
    return {
        "api": (
            *(sys.executable, "-m", "uvicorn", "app.main:create_app", "--factory"),
            *("--host", stack.api_host, "--port", str(stack.api_port), "--no-access-log"),
            *("--timeout-graceful-shutdown", str(DRAIN_S)),
        ),
        "worker": _worker("jobs", jobs, layout),
        "control": _worker("control", _side(CONTROL_QUEUE), layout),
        "webhook": _worker("webhooks", _side(WEBHOOKS_QUEUE, HANDLERS_QUEUE), layout),
        # Without a pid file: one that a crash leaves behind would block the next start.
        "beat": (*BEAT, "--schedule", schedule, "--pidfile=", "--loglevel", "INFO"),
        "flower": (
            *(*FLOWER, f"--address={LOOPBACK}", f"--port={stack.flower_port}"),
            f"--max_tasks={FLOWER_TASKS}",
        ),
    }


def _side(*queues: str) -> tuple[str, ...]:
    return ("--queues", ",".join(queues), "--pool", "threads", "--concurrency", str(SIDE_THREADS))


def _worker(name: str, options: tuple[str, ...], layout: Layout) -> tuple[str, ...]:
    return (
        *(*WORKER, *options, "--hostname", f"{name}-{layout.node_id}@%h"),
        *("--task-events", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
    )

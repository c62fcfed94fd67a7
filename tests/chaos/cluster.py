"""Every process of a run: servers, workers, Beats and APIs, each with its own links to servers."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from app.embedded.layout import Layout
from app.embedded.mongo import REPLICA_SET, Mongo
from app.embedded.port import LOOPBACK, free_ports
from app.embedded.program import Program
from app.embedded.role import Stack, programs
from app.embedded.valkey import Valkey
from tests.chaos.link import Link
from tests.chaos.member import Member
from tests.chaos.proxy import Proxy
from tests.chaos.timing import Timing
from tests.stack import clean_environment

ROOT: Final = Path(__file__).parents[2]
ROLES: Final = {
    "worker-1": "worker",
    "worker-2": "worker",
    "worker-3": "worker",
    "control": "control",
    "beat-1": "beat",
    "beat-2": "beat",
    "api-1": "api",
    "api-2": "api",
}
CONCURRENCY: Final = 2
# A batch of some dozens of objects is to have several chunks.
CHUNK_OBJECTS: Final = 16
MAX_ATTEMPTS: Final = 60  # faults alone are not to use them up
# A child whose parent died alone finds its lease gone, or runs what it has to the end.
ORPHANS_END_WITHIN_S: Final = 45.0
POSTGRES: Final = "WAYBILL_POSTGRES_URL"  # no run has one


class Cluster:
    """Members by name. Its methods are for one thread."""

    def __init__(self, folder: Path, proxy: Proxy, timing: Timing) -> None:
        self.folder = folder
        layout = Layout(folder)
        layout.make()
        mongo_port, redis_port, *api_ports = free_ports(4)
        self.mongo = Mongo(layout, mongo_port)
        self.valkey = Valkey(layout, redis_port)
        self.valkey_folder = folder / "redis"
        self.api_key = layout.secret("api_key", prefix="sk_")
        self.nodes: dict[str, str] = {}  # Celery's name of the node, up to '@', by member
        self.links: list[Link] = []
        self.doors: list[Link] = []
        self.members = {
            "mongo": Member("mongo", self.mongo.prepare()),
            "valkey": Member("valkey", self.valkey.prepare()),
        }
        self._proxy, self.timing = proxy, timing
        self._mongo_port, self._redis_port = mongo_port, redis_port
        for name, role in ROLES.items():
            port = api_ports.pop() if role == "api" else 0
            self.members[name] = Member(name, self._program(name, role, port))
            if role == "api":
                self.doors.append(proxy.open(f"clients→{name}", port))
        self.links += self.doors

    def of(self, role: str) -> list[Member]:
        """The members of one role."""
        return [self.members[name] for name, each in ROLES.items() if each == role]

    def tick(self) -> None:
        """Starts again what has ended."""
        for member in self.members.values():
            member.tick()
            member.bury()

    def old_orphans(self) -> Iterator[tuple[str, float]]:
        """Whose children have outlived their parent for too long, and how long; they are ended."""
        for member in self.members.values():
            for orphans in member.orphans:
                age_s = time.monotonic() - orphans.since_s
                if orphans.alive and age_s > ORPHANS_END_WITHIN_S:
                    orphans.parent.kill()
                    yield member.name, age_s

    def end(self) -> None:
        """Ends every process, the servers last."""
        for member in reversed(self.members.values()):
            member.end()

    def _program(self, name: str, role: str, api_port: int) -> Program:
        """The program that `waybill up` runs, in a folder of its own, behind links of its own."""
        layout = Layout(self.folder / name)
        layout.make()
        self.nodes[name] = f"jobs-{layout.node_id}"
        stack = Stack(
            mongo_url=self._behind(name, self.mongo.url, self._mongo_port),
            redis_url=self._behind(name, self.valkey.url, self._redis_port),
            postgres_url="",
            api_host=LOOPBACK,
            api_port=api_port,
            api_key=self.api_key,
            secret_key=self.api_key,
            flower_port=0,
            flower_user="",
            flower_password="",
            workers=CONCURRENCY,
        )
        env = clean_environment(
            {
                **self.timing.environment(),
                "WAYBILL_IMPORTS": "tests.chaos.jobs",
                "WAYBILL_CHUNK_OBJECTS": str(CHUNK_OBJECTS),
                "WAYBILL_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
                "PYTHONPATH": str(ROOT),
            }
        )
        (program,) = (each for each in programs(stack, layout, env) if each.role == role)
        kept = {key: value for key, value in program.env.items() if key != POSTGRES}
        return replace(program, env=kept, log=self.folder / "logs" / f"{name}.log")

    def _behind(self, name: str, url: str, port: int) -> str:
        """The server's URL by way of a new link."""
        server = "mongo" if port == self._mongo_port else "valkey"
        link = self._proxy.open(f"{name}→{server}", port)
        if ROLES[name] != "beat" or server == "valkey":  # Beat speaks to no database
            self.links.append(link)
        # A client that knows of the replica set would go to the member itself, past the link.
        url = url.replace(f"replicaSet={REPLICA_SET}", "directConnection=true")
        return url.replace(f"{LOOPBACK}:{port}", f"{LOOPBACK}:{link.port}")

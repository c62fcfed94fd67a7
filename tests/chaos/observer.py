"""The run's own view: it goes to the servers directly, past every fault of a link."""

from contextlib import ExitStack
from datetime import datetime
from typing import Final

import httpx
from pymongo import MongoClient
from redis import Redis

from app.audit.verify import verify
from app.database import Document
from app.embedded.port import LOOPBACK
from app.embedded.readiness import lacking
from app.embedded.server import Server
from tests.acceptance.shop import Shop
from tests.chaos import jobs
from tests.chaos.cluster import Cluster
from tests.chaos.link import Link
from tests.polling import poll
from waybill import Client

UP_WITHIN_S: Final = 90.0
ANSWER_WITHIN_S: Final = 10.0
SELECTION_TIMEOUT_MS: Final = 2_000


class Observer:
    """Starts the cluster and reads what it stored."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._open = ExitStack()
        client: MongoClient[Document] = MongoClient(
            cluster.mongo.url, tz_aware=True, serverSelectionTimeoutMS=SELECTION_TIMEOUT_MS
        )
        self._open.callback(client.close)
        self.database = client["waybill"]

    def close(self) -> None:
        """Closes its connections."""
        self._open.close()

    def start_all(self) -> None:
        """Starts every member; returns when all of them serve."""
        servers: dict[str, Server] = {
            "mongo": self._cluster.mongo,
            "valkey": self._cluster.valkey,
        }
        for name, server in servers.items():
            self._cluster.members[name].start()
            poll(server.answers, description=f"{name} answers", within_s=UP_WITHIN_S)
        for name, member in self._cluster.members.items():
            if name not in servers:
                member.start()
        try:
            poll(lambda: not self.lacks(), description="all serve", within_s=UP_WITHIN_S)
        except AssertionError as exc:
            exc.add_note(f"lacking: {self.lacks()}")
            raise

    def lacks(self) -> str:
        """What does not serve, for people; empty when everything does."""
        for door in self._cluster.doors:
            if lack := _api_lacks(door):
                return f"{door.name}: {lack}"
        serving = {row["_id"].split("@")[0] for row in self.database["pulses"].find()}
        silent = [
            member.name
            for member in self._cluster.of("worker")
            if self._cluster.nodes[member.name] not in serving
        ]
        registered = {row["_id"] for row in self.database["job_types"].find()}
        return ", ".join([*silent, *sorted(set(jobs.TYPES) - registered)])

    def client(self, namespace: str | None = None) -> Client:
        """A client of the first API, for the caller to close."""
        url = f"http://{LOOPBACK}:{self._cluster.doors[0].port}"
        return Client(url, self._cluster.api_key, namespace=namespace, max_tries=1)

    def open_shop(self, namespace: str, *, max_running: int | None) -> Shop:
        """A new namespace with a bucket and a collection that reads it, and with a quota."""
        with self.client() as admin:
            admin.namespaces.create(namespace)
            if max_running is not None:
                admin.namespaces.change(namespace, quotas={"max_running": max_running})
        return Shop.open(self._open.enter_context(self.client(namespace)))

    def workers_since(self, at: datetime) -> set[str]:
        """The Celery nodes, up to '@', that have taken tasks since."""
        claims: list[Document] = [
            {"$match": {"history.at": {"$gte": at}}},
            {"$unwind": "$history"},
            {"$match": {"history.at": {"$gte": at}, "history.to": "PROCESSING"}},
            {"$group": {"_id": "$history.worker"}},
        ]
        return {row["_id"].split("@")[0] for row in self.database["tasks"].aggregate(claims)}

    def violations(self) -> list[str]:
        """What the product's own audit finds, now that nothing is open."""
        with Redis.from_url(self._cluster.valkey.url) as redis:
            report = verify(self.database, redis)
        return [f"audit: {one.rule}: {one.subject_id}: {one.detail}" for one in report.violations]


def _api_lacks(door: Link) -> str:
    try:
        url = f"http://{LOOPBACK}:{door.port}/v1/health"
        return lacking(httpx.get(url, timeout=ANSWER_WITHIN_S, trust_env=False).json())
    except (httpx.TransportError, ValueError) as exc:
        return type(exc).__name__

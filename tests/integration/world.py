"""Two namespaces that are alike, side by side behind one API, and every operation of it."""

import random
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI
from pymongo.database import Database

from app.access.permission import Permission
from app.database import Document
from app.receipts.job_type import JobType
from app.stores import Stores
from tests.integration.resources import Json, made
from tests.integration.supply import TASK_TYPE, Supply


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the OpenAPI document."""

    method: str
    path: str
    described: Json
    body: object

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    def sent(
        self, client: httpx.Client, ids: Mapping[str, str], headers: Mapping[str, str] = {}
    ) -> httpx.Response:
        path = self.path.format(**ids)
        return client.request(self.method, path, headers=headers, json=self.body)


def operations(document: Json) -> Iterator[Operation]:
    """Every operation, with the first example of its body."""
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield Operation(method.upper(), path, described, _example(document, described))


def _example(document: Json, described: Json) -> object:
    if "requestBody" not in described:
        return None
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    first = schema.get("anyOf", [schema])[0]
    name = first["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]["examples"][0]


@dataclass(frozen=True, slots=True)
class Side:
    """One namespace: a client whose key opens only that, and one of each thing in it."""

    client: httpx.Client
    ids: Mapping[str, str]

    @property
    def namespace_id(self) -> str:
        return self.ids["namespace_identifier"]


@dataclass(frozen=True, slots=True)
class World:
    """An API with two namespaces that are alike, and a client whose key opens both."""

    url: str
    stores: Stores
    client: httpx.Client
    ours: Side
    theirs: Side
    operations: Sequence[Operation]


@contextmanager
def peopled(
    api: FastAPI, url: str, database: Database[Document], postgres_url: str
) -> Iterator[World]:
    """The world of the running API, with its clients open within the block."""
    stores: Stores = api.state.stores
    kind = JobType(TASK_TYPE, "jobs", 3, submittable=True, suspendable=True)
    stores.ledger.job_types.register([kind])
    with ExitStack() as clients:

        def client(namespace_id: str | None = None, also: str = "") -> httpx.Client:
            key = f"sk_{secrets.token_hex(16)}"
            scope = None if namespace_id is None else [namespace_id, also]
            stores.keys.register(key, "test", Permission.ADMIN, scope)
            headers = {"Authorization": f"Bearer {key}"}
            if namespace_id is not None:
                headers["X-Namespace"] = namespace_id
            return clients.enter_context(httpx.Client(base_url=url, headers=headers, timeout=60))

        def side(seed: int) -> Side:
            supply = Supply(client(), database, postgres_url, random.Random(seed))
            supply.add_others()
            ours = client(supply.ids["namespace_identifier"], also=supply.extended)
            return Side(ours, supply.ids)

        found = list(operations(api.openapi()))
        yield World(url, stores, client(), side(1), side(2), found)


def names_of(side: Side) -> dict[str, str]:
    """The same things by their names, where they have one."""
    paths = {
        "namespace_identifier": ("/v1/namespaces/{}", "namespace_name"),
        "bucket_identifier": ("/v1/buckets/{}", "bucket_name"),
        "collection_identifier": ("/v1/collections/{}", "collection_name"),
        "cluster_identifier": ("/v1/clusters/{}", "cluster_name"),
        "taxonomy_identifier": ("/v1/taxonomies/{}", "taxonomy_name"),
        "webhook_identifier": ("/v1/organizations/webhooks/{}", "webhook_name"),
    }
    return {
        parameter: made(side.client.get(path.format(side.ids[parameter])))[field]
        for parameter, (path, field) in paths.items()
    }

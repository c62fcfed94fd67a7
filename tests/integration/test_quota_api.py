"""Quotas as callers of the API meet them."""

import httpx
import pytest

from app.access.permission import Permission
from app.receipts.job_type import JobType
from app.stores import Stores
from tests.integration.conftest import ClientMaker

TYPE = "test_quota"
NAMESPACE = "/v1/namespaces/default"


@pytest.fixture(autouse=True)
def _job_type(stores: Stores, queue: str) -> None:
    kind = JobType(TYPE, queue, max_attempts=1, submittable=True, suspendable=False)
    stores.ledger.job_types.register([kind])


def limit(client: httpx.Client, **quotas: int | None) -> httpx.Response:
    return client.patch(NAMESPACE, json={"quotas": quotas})


def submit(client: httpx.Client, count: int, *, task_type: str = TYPE) -> httpx.Response:
    return client.post("/v1/tasks/submit", json={"tasks": [{"task_type": task_type}] * count})


def test_a_quota_is_a_part_of_the_namespace(client: httpx.Client) -> None:
    nothing = {"max_running": None, "max_pending": None}
    assert client.get(NAMESPACE).json()["quotas"] == nothing
    assert limit(client, max_running=3).json()["quotas"] == {**nothing, "max_running": 3}
    both = {"max_running": 3, "max_pending": 9}
    assert limit(client, max_pending=9).json()["quotas"] == both
    assert client.patch(NAMESPACE, json={"metadata": {"a": 1}}).json()["quotas"] == both
    assert limit(client).json()["quotas"] == both
    assert limit(client, max_running=None).json()["quotas"] == {**both, "max_running": None}
    assert client.patch(NAMESPACE, json={"quotas": None}).json()["quotas"] == nothing


def test_only_an_admin_of_every_namespace_changes_quotas(
    client_for: ClientMaker, client: httpx.Client
) -> None:
    writer = client_for(Permission.DELETE)
    tenant = client_for(Permission.ADMIN, [client.get(NAMESPACE).json()["namespace_id"]])
    for other in (writer, tenant):
        assert limit(other, max_running=3).status_code == 403
    assert writer.patch(NAMESPACE, json={"description": "d"}).status_code == 200
    assert client.get(NAMESPACE).json()["quotas"]["max_running"] is None


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", True, 10**12])
def test_a_limit_that_is_none_is_refused(client: httpx.Client, value: object) -> None:
    answer = client.patch(NAMESPACE, json={"quotas": {"max_running": value}})
    assert answer.status_code == 422


def test_what_fits_is_accepted_and_the_rest_is_told_why(client: httpx.Client) -> None:
    limit(client, max_pending=2)
    unknown = {"task_type": "nobody_knows"}
    known = {"task_type": TYPE}
    answer = client.post("/v1/tasks/submit", json={"tasks": [known, unknown, known, known]})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["succeeded_count"], body["failed_count"]) == (2, 2)
    assert [(each["index"], each["error_type"]) for each in body["failed"]] == [
        (1, "ValidationError"),
        (3, "TooManyRequestsError"),
    ]
    refused = submit(client, 2)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["error"]["type"] == "TooManyRequestsError"
    assert client.post("/v1/tasks/list").json()["results"][0]["status"] == "PENDING"


def test_a_request_that_is_repeated_takes_no_more_room(client: httpx.Client) -> None:
    limit(client, max_pending=2)
    headers = {"Idempotency-Key": "once"}
    body = {"tasks": [{"task_type": TYPE}] * 2}
    first = client.post("/v1/tasks/submit", json=body, headers=headers)
    assert first.json() == client.post("/v1/tasks/submit", json=body, headers=headers).json()
    refused = client.post("/v1/tasks/submit", json=body, headers={"Idempotency-Key": "twice"})
    assert refused.status_code == 429
    limit(client, max_pending=4)
    again = client.post("/v1/tasks/submit", json=body, headers={"Idempotency-Key": "twice"})
    assert again.json()["succeeded_count"] == 2


def test_a_bulk_kill_is_accepted_whatever_waits(client: httpx.Client) -> None:
    limit(client, max_pending=1, max_running=1)
    assert submit(client, 1).json()["succeeded"][0]["waiting_for"] == "worker"
    killing = client.post("/v1/tasks/kill", json={"task_type": TYPE})
    assert killing.status_code == 202
    assert killing.json()["waiting_for"] == "worker"


def test_a_task_says_what_it_waits_for_and_where_it_stands(client: httpx.Client) -> None:
    limit(client, max_running=1)
    first, second, third = submit(client, 3).json()["succeeded"]
    assert [each["waiting_for"] for each in (first, second, third)] == ["worker", "quota", "quota"]
    read = client.get(f"/v1/tasks/{third['task_id']}").json()
    assert (read["waiting_for"], read["status"]) == ("quota", "PENDING")
    killed = client.post(f"/v1/tasks/{second['task_id']}/kill").json()["task"]
    assert (killed["waiting_for"], killed["status"]) == (None, "CANCELED")
    limit(client, max_running=2)
    assert client.get(f"/v1/tasks/{third['task_id']}").json()["waiting_for"] == "worker"

"""The client's calls of webhooks, blocking and asynchronous, against the real API."""

import pytest

from tests.integration.both_clients import KINDS, Kind, opened
from tests.integration.resources import ClientMaker
from tests.integration.test_client import check
from waybill import ApiError, types

URL = "https://example.com/hooks"


@pytest.mark.parametrize("kind", KINDS)
def test_webhooks(kind: Kind, api_url: str, client_for: ClientMaker) -> None:
    key = str(client_for().headers["Authorization"]).removeprefix("Bearer ")
    with opened(kind, api_url, key) as client:
        made = client.webhooks.create(
            "orders", URL, ["task.failed"], headers={"X-Team": "web"}, timeout_s=3
        )
        check(made, types.Webhook)
        check(made["channels"][0], types.WebhookChannel)
        check(made["channels"][0]["configs"], types.WebhookConfig)
        check(made["delivery_health"], types.DeliveryHealth)
        assert made["channels"][0]["configs"]["signing_secret"].startswith("whsec_")
        assert [each["webhook_id"] for each in client.webhooks.list()] == [made["webhook_id"]]
        changed = client.webhooks.update("orders", webhook_name="all", event_types=["*"])
        assert (changed["webhook_name"], changed["event_types"]) == ("all", ["*"])
        assert client.webhooks.update("all", timeout_s=5)["channels"][0]["configs"] == {
            "url": URL,
            "headers": {"X-Team": "redacted"},
            "timeout": 5.0,
            "signing_secret": "redacted",
        }
        rotated = client.webhooks.rotate_secret("all", overlap_s=60)
        assert rotated["overlap_ends_at"] is not None

        sent = client.webhooks.test("all")
        check(sent, types.WholeDelivery)
        assert client.webhooks.delivery("all", sent["delivery_id"]) == sent
        (row,) = client.webhooks.deliveries("all", status="pending", event_type="webhook.test")
        check(row, types.Delivery)
        assert row["delivery_id"] == sent["delivery_id"]
        assert client.webhooks.replay("all", sent["delivery_id"])["replay_count"] == 0
        replayed = client.webhooks.replay_many("all", status=["exhausted"])
        check(replayed, types.ReplayedDeliveries)
        assert replayed["replayed"] == client.webhooks.purge("all") == 0

        closed = client.webhooks.update("all", is_active=False)
        assert (closed["is_active"], closed["status"]) == (False, "ARCHIVED")
        with pytest.raises(ApiError, match="is_active"):
            client.webhooks.test("all")
        secret = client.webhooks.callback_secret()
        check(secret, types.CallbackSecret)
        assert client.webhooks.rotate_callback_secret() != secret
        assert client.webhooks.delete("all")["success"]
        with pytest.raises(ApiError, match="no webhook 'all'"):
            client.webhooks.get("all")

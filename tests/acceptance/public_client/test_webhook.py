"""Webhooks through the public client, whose types of events are its own."""

import pytest
from mixpeek import (
    Configs,
    ListWebhooksRequest,
    NotificationChannel,
    WebhookChannelInput,
    WebhookChannelOutput,
    WebhookConfig,
    WebhookEventType,
    WebhookInput,
)
from mixpeek.exceptions import NotFoundException

from tests.acceptance.public_client.vendor import Vendor, sent
from waybill import Client

URL = "https://hooks.invalid/orders"


def wanted(name: str, *types: WebhookEventType) -> WebhookInput:
    config = WebhookConfig(url=URL, headers={"X-Team": "web"})
    channel = WebhookChannelInput(channel=NotificationChannel.WEBHOOK, configs=Configs(config))
    return WebhookInput(webhook_name=name, event_types=list(types), channels=[channel])


def config_of(channels: list[WebhookChannelOutput]) -> WebhookConfig:
    found = channels[0].configs.actual_instance
    assert isinstance(found, WebhookConfig)
    return found


def test_a_webhook_from_its_beginning_to_its_end(vendor: Vendor, client: Client) -> None:
    clusters = (WebhookEventType.CLUSTER_DOT_DELETED, WebhookEventType.TAXONOMY_DOT_DELETED)
    made = vendor.webhooks.create_webhook_organizations(wanted("orders", *clusters))
    assert made.webhook_id is not None
    assert (made.webhook_name, made.event_types) == ("orders", list(clusters))
    assert str(config_of(made.channels).signing_secret).startswith("whsec_")
    read = vendor.webhooks.get_webhook_organizations(made.webhook_id)
    assert (config_of(read.channels).url, read.is_active) == (URL, True)
    assert config_of(read.channels).signing_secret == "redacted"
    assert vendor.webhooks.get_webhook_organizations("orders").webhook_id == made.webhook_id

    # Types that it cannot read are left out, and stay where it sends back what it was shown.
    types = ["task.completed", "cluster.deleted"]
    client.webhooks.update("orders", event_types=types, is_active=False)
    read = vendor.webhooks.get_webhook_organizations("orders")
    assert (read.event_types, read.is_active) == ([WebhookEventType.CLUSTER_DOT_DELETED], False)
    back = sent(WebhookInput.from_dict({**read.to_dict(), "webhook_name": "all"}))
    assert vendor.webhooks.update_webhook_organizations(made.webhook_id, back).webhook_name == "all"
    assert client.webhooks.get("all")["event_types"] == types
    client.webhooks.update("all", event_types=["task.completed"])
    changed = vendor.webhooks.update_webhook_organizations("all", wanted("few", clusters[1]))
    assert (changed.event_types, changed.is_active) == ([clusters[1]], True)

    client.webhooks.create("every", URL, ["*"], is_active=False)
    page = vendor.webhooks.list_webhooks_organizations(limit=5)
    assert ([one.webhook_name for one in page.results], page.total) == (["every", "few"], 2)
    assert WebhookEventType.OBJECT_DOT_CREATED in page.results[0].event_types
    active = vendor.webhooks.list_webhooks_organizations(
        list_webhooks_request=ListWebhooksRequest(event_type="taxonomy.deleted", is_active=True)
    )
    assert [one.webhook_id for one in active.results] == [made.webhook_id]
    vendor.webhooks.delete_webhook_organizations("few")
    with pytest.raises(NotFoundException):
        vendor.webhooks.get_webhook_organizations(made.webhook_id)
    client.webhooks.delete("every")

"""What was sent to a webhook: `waybill webhooks deliveries`, `delivery`, `replay`, `purge`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import output
from waybill.cli.argument import Yes, identifier
from waybill.cli.confirmation import confirm
from waybill.cli.option import LISTED, Conditions, Connection, Listing, Showing
from waybill.cli.output import Column
from waybill.cli.spread import spread
from waybill.cli.webhook import WebhookName
from waybill.types import DeliveryStatus

DELIVERIES: Final = (
    Column("DELIVERY", "delivery_id", whole=True),
    Column("EVENT", "event_type"),
    Column("STATUS", "status", whole=True),
    Column("ATTEMPTS", "attempt_count"),
    Column("ANSWER", "status_code"),
    Column("ERROR", "error"),
    Column("CREATED", "created_at", output.age),
)

DeliveryId = Annotated[
    str, typer.Argument(metavar="DELIVERY_ID", help="Id of the delivery, dlv_….", parser=identifier)
]


class Ended(StrEnum):
    """How a delivery may have ended."""

    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    REFUSED = "refused"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Selection(Conditions):
    """Which of those that have ended."""

    stages: Annotated[
        list[Ended],
        typer.Option(
            "--status",
            help="Ended so; several may.",
            case_sensitive=False,
            show_default=False,
            rich_help_panel=LISTED,
        ),
    ] = field(default_factory=list)

    @property
    def status(self) -> Sequence[DeliveryStatus] | None:
        """None leaves it to the server."""
        return [each.value for each in self.stages] or None


@spread
def deliveries(
    webhook: WebhookName, listing: Listing, *, connection: Connection, showing: Showing
) -> None:
    """List what was sent, the newest first: `--filter status=exhausted` are the dead letters."""
    with connection.client() as client:
        found = client.webhooks.deliveries(
            webhook,
            filters=listing.conditions(),
            sort=listing.order(),
            page_size=listing.page_size,
        )
        showing.output().many(islice(found, listing.most), DELIVERIES, id_key="delivery_id")


@spread
def delivery(
    webhook: WebhookName, delivery_id: DeliveryId, *, connection: Connection, showing: Showing
) -> None:
    """Print one delivery with all its attempts."""
    with connection.client() as client:
        showing.output().one(client.webhooks.delivery(webhook, delivery_id), id_key="delivery_id")


@spread
def replay(
    webhook: WebhookName,
    delivery_id: Annotated[
        str | None, typer.Argument(metavar="DELIVERY_ID", help="Default: all that were not sent.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at most.")] = 1_000,
    *,
    chosen: Selection,
    connection: Connection,
    showing: Showing,
) -> None:
    """Send one again, or up to --limit by --status, --filter, --since and --until, 50 a second."""
    shown = showing.output()
    if delivery_id is not None and chosen != Selection():
        raise typer.BadParameter("name one delivery, or select some: not both")
    with connection.client() as client:
        if delivery_id is not None:
            shown.one(client.webhooks.replay(webhook, delivery_id), id_key="delivery_id")
            return
        found = client.webhooks.replay_many(
            webhook,
            status=chosen.status,
            filters=chosen.conditions(),
            limit=limit,
        )
    if shown.is_plain:
        shown.line(f"{found['replayed']:,} are sent again, {found['remaining']:,} are left.")
    else:
        shown.event({**found})


@spread
def purge(
    webhook: WebhookName,
    yes: Yes = False,
    *,
    chosen: Selection,
    connection: Connection,
    showing: Showing,
) -> None:
    """Forget deliveries that have ended, with their log: 10,000 at most in one call."""
    shown = showing.output()
    confirm(f"Forget deliveries of the webhook '{webhook}'?", yes=yes)
    with connection.client() as client:
        purged = client.webhooks.purge(webhook, status=chosen.status, filters=chosen.conditions())
    if shown.is_plain:
        shown.line(f"{purged:,} are forgotten.")
    else:
        shown.event({"purged": purged})


def add_log(group: typer.Typer) -> None:
    """Adds the commands to the group of webhooks."""
    for name, command in (
        ("deliveries", deliveries),
        ("delivery", delivery),
        ("replay", replay),
        ("purge", purge),
    ):
        group.command(name)(command)

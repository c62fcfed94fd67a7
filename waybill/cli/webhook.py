"""`waybill webhooks`: endpoints that are told of events, and what was sent to them."""

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli import duration, output
from waybill.cli.argument import Yes, identifier
from waybill.cli.confirmation import confirm
from waybill.cli.option import Connection, Listing, Showing
from waybill.cli.output import Column, Output
from waybill.cli.spread import spread
from waybill.flow.verb import UNSET
from waybill.types import Webhook

webhooks = typer.Typer(
    help="Webhooks are told of events; without a namespace, of those in all of them.",
    no_args_is_help=True,
)

COLUMNS: Final = (
    Column("WEBHOOK", "webhook_id", whole=True),
    Column("NAME", "webhook_name"),
    Column("STATUS", "status", output.status, whole=True),
    Column("EVENTS", "event_types", lambda value: _words(value)),
    Column("FAILURES", "delivery_health", lambda v: output.member(v, "consecutive_failures")),
    Column("CREATED", "created_at", output.age),
)
WebhookName = Annotated[
    str, typer.Argument(metavar="WEBHOOK", help="Name or id of the webhook.", parser=identifier)
]
EVENT: Final = typer.Option(
    "--event", "-e", metavar="TYPE", help="Such as task.completed; `*`: all."
)
NewHeaders = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME=VALUE", help="Sent along with each delivery."),
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=1, max=60, help="Seconds of one attempt.")
]
SigningSecret = Annotated[
    str | None,
    typer.Option(
        "--secret",
        envvar="WAYBILL_WEBHOOK_SECRET",
        metavar="whsec_…",
        help="Sign with this one; default: the server makes one.",
    ),
]


@webhooks.command("list")
@spread
def list_webhooks(listing: Listing, connection: Connection, showing: Showing) -> None:
    """List webhooks, the newest first."""
    with connection.client() as client:
        found = client.webhooks.list(
            filters=listing.conditions(), sort=listing.order(), page_size=listing.page_size
        )
        showing.output().many(islice(found, listing.most), COLUMNS, id_key="webhook_id")


@webhooks.command("create")
@spread
def create(
    name: Annotated[str, typer.Argument(help="The name to be.", parser=identifier)],
    endpoint: Annotated[
        str, typer.Argument(metavar="URL", help="Where deliveries are sent, https://….")
    ],
    event_types: Annotated[list[str], EVENT],
    headers: NewHeaders = None,
    timeout_s: Timeout = None,
    secret: SigningSecret = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Make a webhook. Its signing secret is shown this once."""
    with connection.client() as client:
        made = client.webhooks.create(
            name,
            endpoint,
            event_types,
            headers=_headers(headers) or None,
            timeout_s=timeout_s,
            signing_secret=secret,
        )
    _reveal(made, showing.output())


@webhooks.command("get")
@spread
def get(webhook: WebhookName, *, connection: Connection, showing: Showing) -> None:
    """Print a webhook, and how its endpoint does."""
    with connection.client() as client:
        showing.output().one(client.webhooks.get(webhook), id_key="webhook_id")


@webhooks.command("update")
@spread
def update(
    webhook: WebhookName,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    endpoint: Annotated[
        str | None, typer.Option("--to", help="Another URL.", metavar="URL")
    ] = None,
    event_types: Annotated[list[str] | None, EVENT] = None,
    headers: NewHeaders = None,
    timeout_s: Timeout = None,
    active: Annotated[
        bool | None,
        typer.Option(
            "--active/--inactive", help="Whether anything is sent; --active also ends a disabling."
        ),
    ] = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Change what is given; events and headers replace those that are there."""
    with connection.client() as client:
        changed = client.webhooks.update(
            webhook,
            webhook_name=name or UNSET,
            url=endpoint or UNSET,
            event_types=event_types or UNSET,
            headers=_headers(headers) or UNSET,
            timeout_s=timeout_s or UNSET,
            is_active=UNSET if active is None else active,
        )
        showing.output().one(changed, id_key="webhook_id")


@webhooks.command("delete")
@spread
def delete(
    webhook: WebhookName, yes: Yes = False, *, connection: Connection, showing: Showing
) -> None:
    """Delete a webhook; what waits for it is not sent, and its log stays a while."""
    shown = showing.output()
    confirm(f"Delete the webhook '{webhook}'?", yes=yes)
    with connection.client() as client:
        shown.done(client.webhooks.delete(webhook), webhook)


@webhooks.command("test")
@spread
def test(webhook: WebhookName, *, connection: Connection, showing: Showing) -> None:
    """Send the event webhook.test; `delivery` shows what came of it."""
    with connection.client() as client:
        showing.output().one(client.webhooks.test(webhook), id_key="delivery_id")


@webhooks.command("rotate-secret")
@spread
def rotate_secret(
    webhook: WebhookName,
    overlap: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the old secret signs as well.")
    ] = "1d",
    secret: SigningSecret = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Give a webhook a new signing secret, which is shown this once."""
    overlap_s = int(duration.option(overlap) or 0)
    with connection.client() as client:
        made = client.webhooks.rotate_secret(webhook, overlap_s=overlap_s, signing_secret=secret)
    _reveal(made, showing.output())


def _headers(given: list[str] | None) -> Mapping[str, str]:
    pairs = [each.partition("=") for each in given or ()]
    if not all(name and sign for name, sign, _ in pairs):
        raise typer.BadParameter("a header reads NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def _reveal(made: Webhook, shown: Output) -> None:
    """With --quiet the secret itself, since that is what a script goes on with."""
    (channel,) = made["channels"]
    secret = channel["configs"]["signing_secret"]
    if shown.quiet:
        shown.line(secret)
    else:
        shown.one({**made, "signing_secret": secret}, id_key="webhook_id")
        shown.said("Keep the signing secret: it is shown this once.")


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else ""

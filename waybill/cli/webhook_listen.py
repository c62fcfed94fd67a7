"""`waybill webhooks listen`: what a server delivers, received on this machine."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Final

import typer

from waybill.cli.output import Output, local, member, plain
from waybill.cli.receiver import Heard, Receiver
from waybill.cli.spread import spread
from waybill.webhooks import WebhookVerificationError, key_of

SECRET: Final = "WAYBILL_WEBHOOK_SECRET"


def _secret(text: str) -> str:
    try:
        key_of(text)
    except WebhookVerificationError as exc:
        raise typer.BadParameter(f"{exc}.") from exc
    return text


@dataclass(frozen=True, slots=True)
class Listening:
    """Where it listens, whom it believes, what it answers, and when it ends."""

    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: one that is free.")] = 0
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1"
    secrets: Annotated[
        list[str],
        typer.Option(
            "--secret",
            parser=_secret,
            envvar=SECRET,
            show_default=False,
            metavar="whsec_…",
            help="The webhook's signing secret; two while one replaces the other.",
        ),
    ] = field(default_factory=list)
    status: Annotated[
        int, typer.Option(min=200, max=599, help="What is answered; 500 shows the retries.")
    ] = 204
    count: Annotated[
        int | None, typer.Option(min=1, help="End after so many; default: with Ctrl-C.")
    ] = None
    once: Annotated[bool, typer.Option("--once", help="End after the first.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False

    @property
    def most(self) -> int | None:
        """After how many it ends."""
        return 1 if self.once else self.count


@spread
def listen(listening: Listening) -> None:
    """Receive webhooks on this machine: verify, answer and print each delivery."""
    if not listening.secrets:
        raise typer.BadParameter(f"no secret is given: set {SECRET}, which others cannot read")
    shown = Output(as_json=listening.as_json)
    receiver = Receiver(listening.host, listening.port, status=listening.status)
    try:
        with _ended_by_signals(), receiver, receiver.serving(listening.secrets):
            _announce(receiver.url, shown)
            for heard in islice(iter(receiver.heard.get, None), listening.most):
                _show(heard, shown)
    except KeyboardInterrupt:
        if listening.most is not None:  # it did not come to its end
            raise


def add_listen(group: typer.Typer) -> None:
    """Adds the command to the group of webhooks."""
    group.command("listen")(listen)


def _announce(url: str, shown: Output) -> None:
    if shown.as_json:
        shown.event({"event": "listening", "data": {"url": url}})
    else:
        shown.line(f"Listening at {url}")


def _show(heard: Heard, shown: Output) -> None:
    if shown.as_json:
        shown.event({"event": "delivery", "data": heard.to_json()})
        return
    at = local(heard.at.isoformat()).partition(" ")[2]
    if heard.event is None:
        shown.line(f"{at}  {heard.status}  {heard.error}")
        return
    subject = heard.event.get("subject")
    parts = (heard.event.get("type"), heard.webhook_id, member(subject, "id"))
    shown.line("  ".join([at, str(heard.status), *(plain(part) for part in parts)]))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Within the block SIGTERM ends it as Ctrl-C does, which a shell's background jobs ignore."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""No delivery opens a socket towards an address that may not be called."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from app.deliveries.attempt import Result
from app.deliveries.delivery import Delivery, ErrorKind, Stage
from app.egress.guard import Guard
from app.egress.session import open_session, trust
from app.identity import new_id
from app.webhooks.channel import Channel
from app.webhooks.destination import Destination
from app.webhooks.secret import make_key
from tests.dialling import DIALLING, Names
from tests.receiver import LOOPBACK, Receiver, Reply, receiving
from workers.delivery.sender import PostSender

PUBLIC = "1.1.1.1"
DUE_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def dialled(receiver: Receiver) -> Iterator[list[str]]:
    """What is dialled during the test, at the receiver's port."""
    DIALLING.addresses.clear()
    DIALLING.port = receiver.port
    yield DIALLING.addresses
    DIALLING.port = None


def send(urls: Sequence[str], guard: Guard, names: Names) -> list[Result]:
    """How attempts at the URLs go, one after the other in one session."""

    async def deliver() -> list[Result]:
        tls = trust(None)
        async with open_session(guard, tls=tls, timeout_s=30.0, resolver=names) as session:
            sender = PostSender(session, guard, timeout_s=30.0)
            keys = (make_key(),)
            return [
                await sender.send(_delivery(), Destination(url, {}, 30.0, keys)) for url in urls
            ]

    return asyncio.run(deliver())


@pytest.mark.parametrize(
    "host",
    [
        *(LOOPBACK, "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::1]"),
        *("169.254.169.254", "10.0.0.1", "2130706433", "0177.0.0.1", "127.1", "0x7f.0.0.1"),
    ],
)
def test_a_denied_host_is_refused(receiver: Receiver, dialled: list[str], host: str) -> None:
    guard = Guard(allowed_ports=frozenset({receiver.port}))
    (result,) = send([f"http://{host}:{receiver.port}/"], guard, Names([PUBLIC]))
    assert result.error_kind is ErrorKind.REFUSED_ADDRESS
    assert (result.status_code, result.response_body) == (None, None)
    assert host not in str(result.error)
    assert dialled == []


@pytest.mark.parametrize(
    "addresses",
    [
        *([LOOPBACK], ["::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["2002:7f00:1::1"]),
        *(["10.0.0.1"], ["169.254.169.254"], ["fd00:ec2::254"]),
    ],
)
def test_a_name_of_a_denied_address_is_refused(
    receiver: Receiver, dialled: list[str], addresses: list[str]
) -> None:
    guard = Guard(allowed_ports=frozenset({receiver.port}))
    url = f"http://hooks.example.org:{receiver.port}/"
    (result,) = send([url], guard, Names(addresses))
    assert result.error_kind is ErrorKind.REFUSED_ADDRESS
    assert result.response_headers == {}
    assert dialled == []


def test_a_name_that_turns_to_a_denied_address_is_refused(
    receiver: Receiver, dialled: list[str]
) -> None:
    """The answer of the first call closes its connection, so the second looks the name up anew."""
    guard = Guard((ip_network(LOOPBACK),), frozenset({receiver.port}))
    path = f"/{new_id('path')}"
    receiver.reply(path, Reply(200, {"Connection": "close"}))
    names = [f"http://{label}.example.org:{receiver.port}{path}" for label in ("a", "b")]
    first, second = send(names, guard, Names([LOOPBACK], ["127.0.0.2"]))
    assert (first.status_code, second.error_kind) == (200, ErrorKind.REFUSED_ADDRESS)
    assert dialled == [LOOPBACK]


def test_a_redirect_is_a_failure_and_is_not_followed(
    receiver: Receiver, dialled: list[str]
) -> None:
    guard = Guard((ip_network(LOOPBACK),), frozenset({receiver.port}))
    path = f"/{new_id('path')}"
    receiver.reply(path, Reply(307, {"Location": f"http://127.0.0.2:{receiver.port}/inside"}))
    (result,) = send([receiver.url(path)], guard, Names([PUBLIC]))
    assert (result.status_code, result.error_kind) == (307, ErrorKind.STATUS)
    assert dialled == [LOOPBACK]
    assert receiver.received("/inside") == []


def _delivery() -> Delivery:
    return Delivery(
        delivery_id=new_id("dlv"),
        mailbox_id="wh_1",
        channel=Channel.WEBHOOK,
        webhook_id="wh_1",
        url=None,
        namespace_id="ns_1",
        event_id=new_id("evt"),
        event_type="task.completed",
        task_id=None,
        sequence=None,
        body=b"{}",
        status=Stage.SENDING,
        due_at=DUE_AT,
        attempt_count=1,
        round=0,
        round_attempts=0,
    )

"""Sessions of the egress guard against real sockets: what is dialled, and what never is."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import ClientConnectorError
from yarl import URL

from app.egress.guard import EgressRefusedError, Guard
from app.egress.session import Session, SocketFactory, open_session, read_bounded, trust
from tests.dialling import DIALLING, Names
from tests.web import ADDRESS, NAME, Answer, Web

DENIED = "127.0.0.1"


@pytest.fixture
def guard(web: Web) -> Guard:
    return Guard((ip_network(ADDRESS),), frozenset({web.port}))


@pytest.fixture
def dialled(web: Web) -> Iterator[list[str]]:
    """What is dialled during the test, at the web server's port."""
    DIALLING.addresses.clear()
    DIALLING.port = web.port
    yield DIALLING.addresses
    DIALLING.port = None


async def get(web: Web, guard: Guard, path: str, names: Names, *, times: int = 1) -> list[bytes]:
    """What a session reads at the path of a host with such names, so often."""
    url = web.url(path, host=NAME)
    async with open_session(
        guard, tls=trust(web.ca_file), timeout_s=30.0, resolver=names
    ) as session:
        return [await read(session, url) for _ in range(times)]


async def read(session: Session, url: str) -> bytes:
    async with session.calling("GET", URL(url)) as answer:
        return await read_bounded(answer, 1_000) or b""


def test_an_allowed_address_is_dialled_once_for_several_calls(
    web: Web, guard: Guard, dialled: list[str]
) -> None:
    web.put("/session/a", b"content")
    found = asyncio.run(get(web, guard, "/session/a", Names([ADDRESS]), times=3))
    assert found == [b"content"] * 3
    assert dialled == [ADDRESS]


@pytest.mark.parametrize(
    "addresses",
    [
        *([DENIED], [DENIED, ADDRESS], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1", "10.0.0.2"]),
        *(["169.254.169.254"], ["fd00:ec2::254"], ["127.1"], ["0.0.0.0"], ["fe80::1%lo"]),
    ],
)
def test_no_denied_address_is_dialled(
    web: Web, guard: Guard, dialled: list[str], addresses: list[str]
) -> None:
    with pytest.raises(EgressRefusedError):
        asyncio.run(get(web, guard, "/session/a", Names(addresses)))
    assert dialled == []


def test_after_an_allowed_address_that_is_dead_a_denied_one_is_not_dialled(
    web: Web, dialled: list[str]
) -> None:
    guard = Guard((ip_network("127.0.0.3"),), frozenset({web.port}))
    with pytest.raises(EgressRefusedError):
        asyncio.run(get(web, guard, "/session/a", Names(["127.0.0.3", DENIED])))
    assert dialled == ["127.0.0.3"]


def test_a_name_that_changes_its_mind_leads_nowhere(
    web: Web, guard: Guard, dialled: list[str]
) -> None:
    web.put("/session/rebound", b"content")
    names = Names([ADDRESS], [DENIED])
    assert asyncio.run(get(web, guard, "/session/rebound", names)) == [b"content"]
    with pytest.raises(EgressRefusedError):
        asyncio.run(get(web, guard, "/session/rebound", names))
    assert names.asked == 2
    assert dialled == [ADDRESS]


def test_a_port_is_checked_where_it_is_dialled(web: Web, dialled: list[str]) -> None:
    guard = Guard((ip_network(ADDRESS),))
    with pytest.raises(EgressRefusedError, match="port"):
        asyncio.run(get(web, guard, "/session/a", Names([ADDRESS])))
    assert dialled == []


def test_a_denied_address_gets_no_socket() -> None:
    before = open_sockets()
    with pytest.raises(EgressRefusedError):
        SocketFactory(Guard())((socket.AF_INET, socket.SOCK_STREAM, 0, "", (DENIED, 443)))
    assert open_sockets() <= before  # the web server may close some meanwhile


def open_sockets() -> set[str]:
    """The sockets of this process, by the names that the kernel gives them."""
    names = set()
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            names.add(str(each.readlink()))
    return {name for name in names if name.startswith("socket:")}


def test_the_environment_s_proxies_are_not_asked(
    web: Web, guard: Guard, dialled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    web.put("/session/direct", b"content")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{DENIED}:9")
    assert asyncio.run(get(web, guard, "/session/direct", Names([ADDRESS]))) == [b"content"]
    assert dialled == [ADDRESS]


def test_no_redirect_is_followed_and_no_cookie_is_kept(
    web: Web, guard: Guard, dialled: list[str]
) -> None:
    secret = f"https://{DENIED}:{web.port}/secret"
    web.answers["/session/away"] = Answer(b"away", status=302, headers={"Location": secret})
    assert asyncio.run(get(web, guard, "/session/away", Names([ADDRESS]))) == [b"away"]
    assert dialled == [ADDRESS]

    web.answers["/session/cookie"] = Answer(headers={"Set-Cookie": "a=b; Path=/"})
    asyncio.run(get(web, guard, "/session/cookie", Names([ADDRESS]), times=2))
    headers = [headers for path, headers in web.asked if path == "/session/cookie"]
    assert [sorted(each) for each in headers] == [
        ["Accept", "Accept-Encoding", "Host", "User-Agent"]
    ] * 2
    assert headers[1]["Accept-Encoding"] == "identity"


def test_a_certificate_that_is_not_trusted_ends_the_call(web: Web, guard: Guard) -> None:
    async def ask() -> None:
        async with (
            open_session(guard, tls=trust(None), timeout_s=30.0) as session,
            session.calling("GET", URL(web.url("/session/a"))),
        ):
            pytest.fail("it was trusted")

    with pytest.raises(ClientConnectorError, match="certificate"):
        asyncio.run(ask())


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_is_read_up_to_a_bound(web: Web, guard: Guard, chunked: bool) -> None:
    path = f"/session/size/{chunked}"

    async def ask(max_bytes: int) -> bytes | None:
        async with (
            open_session(guard, tls=trust(web.ca_file), timeout_s=30.0) as session,
            session.calling("GET", URL(web.url(path))) as answer,
        ):
            return await read_bounded(answer, max_bytes)

    web.answers[path] = Answer(b"x" * 100_000, chunked=chunked)
    assert asyncio.run(ask(100_000)) == b"x" * 100_000
    assert asyncio.run(ask(99_999)) is None

"""Where the client finds its server, and what it refuses to call."""

import json
from pathlib import Path

import pytest

from waybill import AsyncClient, Client, ConnectError, SetupError
from waybill.connection import Connection, find, note_path

URL, KEY = "http://127.0.0.1:8000", "sk_noted"


@pytest.fixture
def noted(tmp_path: Path) -> dict[str, str]:
    """An environment whose data folder has the note of a running `waybill up`."""
    environment = {"WAYBILL_DATA_DIR": str(tmp_path)}
    path = note_path(environment)
    path.parent.mkdir()
    path.write_text(json.dumps({"api_url": URL, "api_key": KEY}))
    return environment


def test_what_is_said_goes_before_the_environment_and_that_before_the_note(
    noted: dict[str, str],
) -> None:
    assert find(environment=noted) == Connection(URL, KEY, None)
    set_ = noted | {
        "WAYBILL_URL": "https://a.test",
        "WAYBILL_API_KEY": "sk_a",
        "WAYBILL_NAMESPACE": "a",
    }
    assert find(environment=set_) == Connection("https://a.test", "sk_a", "a")
    said = find("https://b.test", "sk_b", namespace="b", environment=set_)
    assert said == Connection("https://b.test", "sk_b", "b")


def test_the_noted_key_goes_to_the_noted_server_only(noted: dict[str, str]) -> None:
    assert find(URL + "/", environment=noted).api_key == KEY
    assert find(api_key="sk_other", environment=noted) == Connection(URL, "sk_other")
    with pytest.raises(SetupError, match="No API key is known for this server"):
        find("https://elsewhere.test", environment=noted)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"api_url": "http://127.0.0.1:1"}'])
def test_a_note_that_cannot_be_read_is_as_good_as_none(noted: dict[str, str], content: str) -> None:
    note_path(noted).write_text(content)
    with pytest.raises(SetupError, match="`waybill up`"):
        find(environment=noted)


def test_nothing_found_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match=r"^No server is known: start one with `waybill up`"):
        find(environment={"WAYBILL_DATA_DIR": str(tmp_path), "WAYBILL_URL": ""})


@pytest.mark.parametrize(
    "url", ["", "localhost", "ftp://a.test", "http://", "http://a:b", "http://a\n"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SetupError, match="http://host:port"):
        Client(url, KEY)


@pytest.mark.parametrize("key", ["", " ", "sk a", "sk_ü", "sk_\n"])
def test_what_is_no_key_is_refused_and_not_repeated_in_the_error(key: str) -> None:
    with pytest.raises(SetupError, match="API key") as raised:
        AsyncClient(URL, key)
    assert "ü" not in str(raised.value)


@pytest.mark.parametrize("namespace", ["", "  ", "a\r\nX-Evil: 1"])
def test_what_is_no_namespace_is_refused(namespace: str) -> None:
    with pytest.raises(SetupError, match="namespace"):
        Client(URL, KEY, namespace=namespace)


def test_the_url_is_shown_as_people_write_it() -> None:
    assert (
        Connection("https://a.test:8443/waybill/", KEY).shown_url == "https://a.test:8443/waybill"
    )


@pytest.mark.parametrize(
    "url", ["https://me:secret@a.test", "https://me@a.test", "https://@a.test"]
)
def test_a_user_in_the_url_is_refused_and_not_shown(url: str) -> None:
    """httpx would send the user in place of the API key."""
    with pytest.raises(SetupError, match="user") as raised:
        Client(url, KEY)
    assert "secret" not in str(raised.value)


def test_a_closed_client_says_so() -> None:
    client = Client(URL, KEY)
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.health()

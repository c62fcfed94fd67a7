"""`waybill webhooks listen` as a process, called by who signs as the public library does."""

import json
import signal
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import httpx
import pytest
import standardwebhooks

from tests.acceptance.command import Command
from tests.stack import clean_environment
from waybill.types import JsonObject

SECRETS: Final = (
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
)
EVENT: Final = {
    "event_id": "evt_1",
    "type": "task.completed",
    "subject": {"type": "task", "id": "tsk_1"},
}
BODY: Final = json.dumps(EVENT)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command without any server; both secrets are known."""
    environment = {"WAYBILL_WEBHOOK_SECRET": " ".join(SECRETS), "XDG_DATA_HOME": str(tmp_path)}
    return Command(clean_environment(environment), tmp_path)


def headers(secret: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign("evt_1", now, BODY),
    }


def status_of(url: str, headers: dict[str, str]) -> int:
    """The answer to the beginning of a request, whose body never comes."""
    with closing(HTTPConnection(url.removeprefix("http://").rstrip("/"))) as connection:
        connection.request("POST", "/", headers=headers)
        return connection.getresponse().status


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def url_of(process: subprocess.Popen[str]) -> str:
    said: JsonObject = json.loads(line(process))
    assert said["event"] == "listening"
    url: str = said["data"]["url"]
    return url


def test_deliveries_are_verified_answered_and_printed(command: Command) -> None:
    with command.running(["webhooks", "listen", "--json", "--count", "3"]) as process:
        url = url_of(process)
        for secret, body, status in (
            (SECRETS[0], BODY, 204),
            (SECRETS[1], BODY, 204),
            (SECRETS[0], f"{BODY} ", 401),
        ):
            answer = httpx.post(url, content=body, headers=headers(secret))
            assert (answer.status_code, answer.content) == (status, b"")
            told = json.loads(line(process))
            assert (told["event"], told["data"]["webhook_id"]) == ("delivery", "evt_1")
            assert told["data"]["status"] == status
            assert told["data"]["body"] == (EVENT if status == 204 else None)
            assert (told["data"]["error"] is None) == (status == 204)
        assert process.wait(60) == 0


def test_it_refuses_what_is_no_delivery_and_fails_on_request(command: Command) -> None:
    arguments = ["webhooks", "listen", "--status", "500", "--once"]
    with command.running(arguments) as process:
        url = line(process).removeprefix("Listening at ").strip()
        assert httpx.get(url).status_code == 501
        assert status_of(url, {"Transfer-Encoding": "chunked"}) == 411
        assert status_of(url, {"Content-Length": str(2**30)}) == 413
        assert status_of(url, {"Content-Length": "9" * 5_000}) == 413
        assert httpx.post(url, content=BODY, headers=headers(SECRETS[0])).status_code == 500
        assert line(process).rstrip().endswith("  500  task.completed  evt_1  tsk_1")
        assert process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to(command: Command, number: signal.Signals) -> None:
    with command.running(["webhooks", "listen", "--json"]) as process:
        url = url_of(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)
    with command.running(["webhooks", "listen", "--json", "--once"]) as process:
        url_of(process)
        process.send_signal(number)
        assert process.wait(60) == 130


def test_it_wants_a_secret_in_its_form(command: Command) -> None:
    missing = command.run("webhooks", "listen", WAYBILL_WEBHOOK_SECRET="")
    assert (missing.code, missing.out) == (2, "")
    assert "no secret is given: set WAYBILL_WEBHOOK_SECRET" in missing.err
    wrong = command.run("webhooks", "listen", "--secret", "whsec_abc")
    assert wrong.code == 2
    assert "The secret" in wrong.err

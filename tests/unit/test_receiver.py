"""The README's receiver, run as it stands, gets a delivery as a dispatcher would send it."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Final

import httpx
import pytest
import standardwebhooks
from fastapi import FastAPI

README: Final = Path(__file__).parents[2] / "README.md"
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STRANGER: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY: Final = '{"event_id": "evt_1", "type": "task.completed"}'
MOST_LINES: Final = 15


def receiver_code() -> str:
    text = README.read_text()
    text = text[text.index("<!-- readme-receiver") : text.index("<!-- /readme-receiver -->")]
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def headers(secret: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign("evt_1", now, BODY),
    }


def post(app: FastAPI, headers: dict[str, str]) -> httpx.Response:
    async def posted() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as sender:
            return await sender.post("/waybill", content=BODY, headers=headers)

    return asyncio.run(posted())


def test_the_receiver_of_the_readme(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WAYBILL_WEBHOOK_SECRET", SECRET)
    code, module = receiver_code(), ModuleType("receiver")
    assert len(code.splitlines()) < MOST_LINES
    exec(compile(code, str(README), "exec"), module.__dict__)
    app = module.__dict__["app"]
    assert isinstance(app, FastAPI)
    answer = post(app, headers(SECRET))
    assert (answer.status_code, answer.content) == (204, b"")
    assert capsys.readouterr().out == "task.completed evt_1\n"
    refused = post(app, headers(STRANGER))
    assert refused.status_code == 401
    assert "No signature matches" in refused.json()["detail"]
    assert post(app, {}).status_code == 401
    assert capsys.readouterr().out == ""

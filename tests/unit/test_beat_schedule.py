"""The schedule is plain data about tasks that exist."""

import ast
from pathlib import Path

import pytest

from app.broker import CONTROL_QUEUE, WEBHOOKS_QUEUE
from beat_schedule import BEAT_SCHEDULE, EXPIRES_S
from workers.celery_app import app

SOURCE = Path(__file__).parents[2] / "beat_schedule.py"


def test_it_imports_nothing() -> None:
    imports = [
        node
        for node in ast.walk(ast.parse(SOURCE.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert imports == []


def test_every_entry_names_a_task_of_ours_on_a_queue_that_no_job_can_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Celery asks for the configuration when the tasks are looked at; nothing is connected to.
    monkeypatch.setenv("WAYBILL_REDIS_URL", "redis://127.0.0.1:1/0")
    for module in ("workers.control", "workers.maintenance", "workers.webhooks"):
        app.loader.import_task_module(module)
    for name, entry in BEAT_SCHEDULE.items():
        options = entry["options"]
        assert isinstance(options, dict)
        assert entry["task"] in app.tasks, name
        assert options["queue"] in (CONTROL_QUEUE, WEBHOOKS_QUEUE), name
        assert options["expires"] == EXPIRES_S, name

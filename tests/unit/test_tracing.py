"""Without an endpoint, traces cost nothing: no import, no span."""

import subprocess
import sys

from app import tracing
from app.tracing import Kind

LOOK = """
import sys
import app.main, app.command, workers.celery_app, workers.jobs.batch
parts = ("opentelemetry.exporter", "app.telemetry")
print([name for name in sys.modules if name.startswith(parts)])
"""


def test_the_exporter_is_not_imported_unasked() -> None:
    """FastAPI and redis-py import parts of OpenTelemetry by themselves; they send nothing."""
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_an_endpoint_there_are_no_spans() -> None:
    with tracing.span("x", kind=Kind.SERVER, attributes={"a": 1}):
        tracing.annotate({"b": 2})
        tracing.fail("no reason")
        assert tracing.current() is None
    with tracing.sending("q", trace=None):
        assert tracing.current() is None
    tracing.stop()

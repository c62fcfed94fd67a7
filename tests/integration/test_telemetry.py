"""A collector of traces that hangs."""

from app.telemetry import Telemetry
from app.tracing import Kind
from tests.integration.test_receipt_cache import silent_server

FULL = 2048  # spans that wait to be sent, in four batches


def test_a_collector_that_hangs_does_not_hold_up_the_end() -> None:
    with silent_server() as (url, connected):
        endpoint = url.replace("redis:", "http:").removesuffix("/0")
        telemetry = Telemetry(endpoint, role="test", sample_ratio=1.0)
        for _ in range(FULL):
            with telemetry.span("x", kind=Kind.SERVER, parent=None, attributes={}):
                pass
        telemetry.stop()
        assert len(connected) < FULL / 512  # the rest was given up

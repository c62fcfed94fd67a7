"""Tracing by OpenTelemetry's SDK, sent by OTLP over HTTP. Needs the extra `waybill[otel]`."""

from contextlib import AbstractContextManager
from threading import Thread
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.tracing import Attributes, Kind
from waybill import __version__

PATH: Final = "/v1/traces"  # https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
SEND_EVERY_MS: Final = 1_000
# A collector that is away must hold up neither a shutdown nor the next batch.
SEND_WITHIN_S: Final = 2.0

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_FIELD: Final = "traceparent"


class Telemetry:
    """One process's spans: collected, and sent once a second from a thread."""

    def __init__(self, endpoint: str, *, role: str, sample_ratio: float) -> None:
        resource = Resource.create({SERVICE_NAME: f"waybill-{role}", SERVICE_VERSION: __version__})
        exporter = OTLPSpanExporter(endpoint.rstrip("/") + PATH, timeout=SEND_WITHIN_S)
        # A caller that samples a request has decided for all that comes of it.
        sampler = ParentBased(TraceIdRatioBased(sample_ratio))
        self._provider = TracerProvider(sampler=sampler, resource=resource)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=SEND_EVERY_MS)
        )
        self._tracer = self._provider.get_tracer("waybill", __version__)

    def span(
        self, name: str, *, kind: Kind, parent: str | None, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        return self._tracer.start_as_current_span(
            name,
            context=_context(parent),
            kind=SpanKind[kind],
            attributes=dict(attributes),
            record_exception=False,
            set_status_on_exception=False,
        )

    def current(self) -> str | None:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get(_FIELD)

    def annotate(self, attributes: Attributes, *, name: str | None) -> None:
        span = trace.get_current_span()
        span.set_attributes(dict(attributes))
        if name is not None:
            span.update_name(name)

    def fail(self, reason: str, error: BaseException | None) -> None:
        span = trace.get_current_span()
        span.set_status(StatusCode.ERROR, reason)
        if isinstance(error, Exception):
            span.record_exception(error)

    def stop(self) -> None:
        # The SDK sends one batch after the other, and each may take that long. A daemon: what is
        # left then must not hold up the end of the process.
        sending = Thread(target=self._provider.shutdown, name="telemetry-stop", daemon=True)
        sending.start()
        sending.join(SEND_WITHIN_S)


def _context(parent: str | None) -> Context | None:
    """None stands for the current one; what is no traceparent begins a new trace."""
    return None if parent is None else _PROPAGATOR.extract({_FIELD: parent})

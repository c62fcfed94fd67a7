"""Spans of OpenTelemetry, for who sets WAYBILL_OTEL_ENDPOINT.

Without it every function here does nothing and no exporter is imported. A trace is
known by its `traceparent` (https://www.w3.org/TR/trace-context/), which the receipt keeps: an
attempt belongs to the trace of its request, whoever sent its message, and how often.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from importlib import import_module
from typing import Final, Protocol

from app.settings import Settings

Attributes = Mapping[str, str | int | float]


class Kind(StrEnum):
    """What a span is to the one above it."""

    SERVER = "SERVER"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Tracer(Protocol):
    """What app/telemetry.py makes of OpenTelemetry, the one module that imports it."""

    def span(
        self, name: str, *, kind: Kind, parent: str | None, attributes: Attributes
    ) -> AbstractContextManager[object]: ...

    def current(self) -> str | None: ...

    def annotate(self, attributes: Attributes, *, name: str | None) -> None: ...

    def fail(self, reason: str, error: BaseException | None) -> None: ...

    def stop(self) -> None: ...


# By process: a child must not send on a connection that its parent opened before the fork.
_tracers: Final[dict[int, Tracer]] = {}
_NOTHING: Final = nullcontext()


def start(settings: Settings, *, role: str) -> None:
    """Spans of this process are sent from now on, if an endpoint is set; safe to repeat."""
    if settings.otel_endpoint is None or os.getpid() in _tracers:
        return
    # Not imported above: the exporter is an extra, and takes its time to import.
    telemetry = import_module("app.telemetry")
    _tracers[os.getpid()] = telemetry.Telemetry(
        settings.otel_endpoint, role=role, sample_ratio=settings.otel_sample_ratio
    )


def stop() -> None:
    """Sends what is left, for two seconds at most, and sends no more."""
    tracer = _tracers.pop(os.getpid(), None)
    if tracer is not None:
        tracer.stop()


def span(
    name: str, *, kind: Kind, parent: str | None = None, attributes: Attributes
) -> AbstractContextManager[object]:
    """A span around the block, below `parent` (a traceparent) or else below the current one."""
    tracer = _tracers.get(os.getpid())
    if tracer is None:
        return _NOTHING
    return tracer.span(name, kind=kind, parent=parent, attributes=attributes)


def sending(queue: str, *, trace: str | None) -> AbstractContextManager[object]:
    """A span around the sending of a task's message, by whoever sends it: a sweep has no trace
    of its own, and sends within the task's.
    """
    here = current()
    if here is None and trace is None:
        return _NOTHING
    attributes = {"messaging.destination.name": queue}
    parent = trace if here is None else None
    return span(f"send {queue}", kind=Kind.PRODUCER, parent=parent, attributes=attributes)


def current() -> str | None:
    """The traceparent of the current span, or None: there is none."""
    tracer = _tracers.get(os.getpid())
    return None if tracer is None else tracer.current()


def annotate(attributes: Attributes, *, name: str | None = None) -> None:
    """Adds to the current span what is known only now, perhaps with a better name."""
    tracer = _tracers.get(os.getpid())
    if tracer is not None:
        tracer.annotate(attributes, name=name)


def fail(reason: str, error: BaseException | None = None) -> None:
    """Says that the current span's work failed, with the error where there is one."""
    tracer = _tracers.get(os.getpid())
    if tracer is not None:
        tracer.fail(reason, error)

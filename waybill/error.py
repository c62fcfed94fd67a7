"""What a call may raise. `str(error)` is a sentence for people."""

from collections.abc import Mapping
from typing import Any

from waybill.types import Task


class ClientError(Exception):
    """The root of all errors that the client raises by itself."""


class ApiError(ClientError):
    """An answer that is no success. `str(error)` is the server's sentence."""

    def __init__(
        self,
        status: int,
        error: Mapping[str, Any],
        *,
        retry_after_s: float | None = None,
        request_id: str | None = None,
    ) -> None:
        self.message = str(error.get("message") or f"The server answered {status}.")
        super().__init__(self.message)
        self.status = status
        self.type = str(error.get("type") or "")
        details = error.get("details")
        self.details: dict[str, Any] = dict(details) if isinstance(details, Mapping) else {}
        self.retry_after_s = retry_after_s
        self.request_id = request_id


class ConnectError(ClientError):
    """The server cannot be reached, or the connection was cut before the whole answer came."""


class SetupError(ConnectError, ValueError):
    """The client was not told which server to call, or with which key, or was told nonsense."""


class TaskFailedError(ClientError):
    """The task ended FAILED; the message is the receipt's."""

    def __init__(self, message: str, receipt: Task) -> None:
        super().__init__(message)
        self.receipt = receipt


class TaskCanceledError(ClientError):
    """The task ended CANCELED; the message says who asked for it and why."""

    def __init__(self, message: str, receipt: Task) -> None:
        super().__init__(message)
        self.receipt = receipt


class WaitTimeoutError(ClientError, TimeoutError):
    """The task has not ended in time; `receipt` is what was read last, None if nothing was."""

    def __init__(self, message: str, receipt: Task | None) -> None:
        super().__init__(message)
        self.receipt = receipt

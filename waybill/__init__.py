"""What producers import: the clients, their errors, and the rules for polling a receipt."""

from waybill.client import AsyncClient, Client
from waybill.error import (
    ApiError,
    ClientError,
    ConnectError,
    SetupError,
    TaskCanceledError,
    TaskFailedError,
    WaitTimeoutError,
)
from waybill.version import __version__

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "ConnectError",
    "SetupError",
    "TaskCanceledError",
    "TaskFailedError",
    "WaitTimeoutError",
    "__version__",
]

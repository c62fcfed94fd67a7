"""Namespaces as answers have them."""

from typing import Literal

from app.api.shape.page import CountedPage, page_example
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum

EXAMPLE: Json = {
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "namespace_name": "shop",
    "description": "The web shop",
    "metadata": {"team": "web"},
    "status": "ACTIVE",
    "namespace_ready": True,
    "quotas": {"max_running": 10, "max_pending": None},
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:00.000Z",
}


class Quotas(Answer):
    """The namespace's own limits on whole tasks; null leaves one to the settings."""

    max_running: int | None
    max_pending: int | None


class Namespace(Answer):
    """One tenant."""

    model_config = example(EXAMPLE)

    namespace_id: str
    namespace_name: str
    description: str | None
    metadata: Json
    status: TaskStatusEnum
    namespace_ready: Literal[True]
    quotas: Quotas
    created_at: Time
    updated_at: Time


class NamespacePage(CountedPage[Namespace]):
    """A page of namespaces."""

    model_config = example(page_example(EXAMPLE, total_count=1))

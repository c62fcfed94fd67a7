"""What an answer that is no success says: its error, and when to come back."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from waybill.error import ApiError
from waybill.flow.step import Answer
from waybill.types import JsonObject

NOT_FOUND: Final = 404
CONFLICT: Final = 409
# Of a server that is busy or away, or of a proxy before one that is.
PASSING: Final = frozenset({429, 502, 503, 504})


def refusal(answer: Answer) -> ApiError:
    """The error of an answer that is no success, whoever gave it."""
    return ApiError(
        answer.status,
        _error_json(answer),
        retry_after_s=retry_after_s(answer.headers, answer.received_at),
        request_id=answer.headers.get("x-request-id"),
    )


def is_passing(error: ApiError) -> bool:
    """Whether the same call may succeed in a moment."""
    return error.status in PASSING or is_in_progress(error)


def is_in_progress(error: ApiError) -> bool:
    """Whether an earlier try of this very call is still being served."""
    return error.status == CONFLICT and error.details.get("idempotency") == "in_progress"


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that `Retry-After` asks for, as a number or a date; None without a sound one."""
    text = headers.get("retry-after", "").strip()
    try:
        delay_s = float(text)
    except ValueError:
        return _until(text, now)
    return delay_s if math.isfinite(delay_s) and delay_s >= 0 else None


def _until(date: str, now: datetime) -> float | None:
    """RFC 9110 allows a date as well."""
    try:
        at = parsedate_to_datetime(date)
    except (ValueError, IndexError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def _error_json(answer: Answer) -> JsonObject:
    """The server's own words, or ours for an answer that is not Waybill's."""
    try:
        error = json.loads(answer.body)["error"]
    except (ValueError, KeyError, TypeError):
        error = None
    if isinstance(error, dict) and error.get("message"):
        return error
    if 300 <= answer.status < 400:
        target = answer.headers.get("location", "elsewhere")
        return {"message": f"{answer.url} redirects to {target}: give the client the final URL."}
    return {"message": f"{answer.url} answered {answer.status}{_phrase(answer.status)}."}


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""

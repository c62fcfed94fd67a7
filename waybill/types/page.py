"""Answers with many things: pages of lists, and calls that partly succeed."""

from typing import Generic, NotRequired, TypedDict, TypeVar

from waybill.types.json import JsonObject

T = TypeVar("T")


class Pagination(TypedDict):
    """Where a page lies; `total` is null unless it was asked for."""

    total: int | None
    page: int | None
    page_size: int
    total_pages: int | None
    next_page: str | None
    previous_page: str | None
    next_cursor: str | None


class Page(TypedDict, Generic[T]):
    """One page of a list."""

    results: list[T]
    pagination: Pagination
    total_count: NotRequired[int]


class PartialFailure(TypedDict):
    """One that was refused, by its place in the request."""

    index: int
    object_index: int
    error: str
    error_type: str
    details: JsonObject


class Partial(TypedDict, Generic[T]):
    """The answer of a call on many things, each of which succeeds or fails for itself."""

    succeeded: list[T]
    failed: list[PartialFailure]
    total_requested: int
    succeeded_count: int
    failed_count: int


class Deleted(TypedDict):
    """It is gone."""

    success: bool
    message: str

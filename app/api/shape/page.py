"""One page of a list."""

from typing import Generic, TypeVar

from app.http.answer import Answer

Row = TypeVar("Row")


class Pagination(Answer):
    """Where the page lies. `total` and `total_pages` are null unless `include_total` asked."""

    total: int | None
    page: int | None
    page_size: int
    total_pages: int | None
    next_page: str | None
    previous_page: str | None
    next_cursor: str | None


class Page(Answer, Generic[Row]):
    """Rows in order, and where to go on."""

    results: list[Row]
    pagination: Pagination


class CountedPage(Page[Row], Generic[Row]):
    """A page with the number of all rows that the list selects."""

    total_count: int


PAGINATION = {
    "total": None,
    "page": 1,
    "page_size": 100,
    "total_pages": None,
    "next_page": None,
    "previous_page": None,
    "next_cursor": None,
}


def page_example(row: object, **more: object) -> dict[str, object]:
    """A page of the one row, as an example."""
    return {"results": [row], "pagination": PAGINATION, **more}

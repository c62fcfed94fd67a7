"""How long MongoDB may take for what users ask, and what they are told when that was not enough."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pymongo.errors import ExecutionTimeout, OperationFailure

from app.errors import BadRequestError, InvalidError

TIME_LIMIT_MS: Final = 5_000  # of a page: a slow list must not starve the others
BAD_REGEX_CODES: Final = frozenset({2, 51091, 51108, 51109})  # PCRE refuses some that Python takes
COUNTLESS: Final = "leave out include_total"


@contextmanager
def explained(
    *, within_ms: int = TIME_LIMIT_MS, advice: str = "narrow its filters"
) -> Iterator[None]:
    """Says in a sentence for users why MongoDB gave up or refused a query.

    `BadRequestError` with the advice where it took too long, `InvalidError` for a pattern that it
    does not take; any other error passes.
    """
    try:
        yield
    except ExecutionTimeout as exc:
        took = f"The query took longer than {within_ms / 1000:g} seconds"
        raise BadRequestError(f"{took}: {advice}") from exc
    except OperationFailure as exc:
        if exc.code not in BAD_REGEX_CODES or "regular expression" not in str(exc).lower():
            raise
        message = "a regular expression in the filters is not valid"
        raise InvalidError.at("body", "filters", message=message) from exc


def narrower(names: Sequence[str]) -> str:
    """The advice to filter by one of these fields, of which there is at least one."""
    *others, last = names
    return f"narrow it by {', '.join(others)} or {last}" if others else f"narrow it by {last}"

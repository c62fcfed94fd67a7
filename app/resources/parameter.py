"""What an extractor says of parameters that it cannot work with."""

from collections.abc import Mapping, Sequence

from app.errors import InvalidError, Problem
from app.resources.extractor import PLACE
from app.resources.property import shown


def parameter_error(name: str, message: str) -> InvalidError:
    """What an extractor's constructor raises for the parameter `name`."""
    return InvalidError.at(*PLACE, "parameters", name, message=message)


def refuse_unknown(parameters: Mapping[str, object], known: Sequence[str]) -> None:
    """Raises `InvalidError` naming each parameter that isn't `known`."""
    right = f"known are {', '.join(known)}" if known else "this extractor has none"
    problems = [
        Problem((*PLACE, "parameters", shown(name)), f"unknown parameter '{shown(name)}': {right}")
        for name in parameters
        if name not in known
    ]
    if problems:
        raise InvalidError(problems)

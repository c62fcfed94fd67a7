"""Options that many commands share, declared once as a dataclass."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import ParamSpec, TypeVar, cast

Taken = ParamSpec("Taken")
Answer = TypeVar("Answer")


def spread(command: Callable[Taken, Answer]) -> Callable[..., Answer]:
    """The command, with each parameter that is a dataclass spread into one option a field.

    Typer reads the signature: it sees the fields with their annotations and defaults, by name.
    """
    signature = inspect.signature(command, eval_str=True)
    own: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for parameter in signature.parameters.values():
        kind = parameter.annotation
        if isinstance(kind, type) and is_dataclass(kind):
            spread_out = _parameters(kind)
            groups[parameter.name] = (kind, [each.name for each in spread_out])
            own += spread_out
        else:
            own.append(parameter)

    @wraps(command)
    def spread_command(*_: Taken.args, **given: Taken.kwargs) -> Answer:
        values: dict[str, object] = dict(given)
        for name, (kind, fields_of) in groups.items():
            values[name] = kind(**{field: values.pop(field) for field in fields_of})
        return cast(Callable[..., Answer], command)(**values)

    only_named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    spread_command.__dict__["__signature__"] = signature.replace(parameters=only_named)
    spread_command.__annotations__ = {one.name: one.annotation for one in own}
    return spread_command


def _parameters(kind: type) -> list[inspect.Parameter]:
    """A parameter a field, with the default that the field would have."""
    made = {
        each.name: each.default_factory()
        for each in fields(kind)
        if each.default_factory is not MISSING
    }
    declared = inspect.signature(kind, eval_str=True).parameters.values()
    return [each.replace(default=made.get(each.name, each.default)) for each in declared]

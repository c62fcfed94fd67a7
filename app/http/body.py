"""The form of every request body: unknown keys are refused, never ignored."""

from typing import Annotated, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from app.json_value import json_flaw

# The public client reads the answer of a create only under this status.
CREATED: Final = 200

MAX_NAME: Final = 128  # characters
MAX_METADATA: Final = 1_000  # keys
MAX_VALUES: Final = 10_000
MAX_TEXT: Final = 2**31  # more than a body may have

JsonObject = dict[str, object]


class Body(BaseModel):
    """A request body; a key that it does not declare is a 422 naming the key."""

    # Texts with a bound are read as Unicode: a lone surrogate, which no store holds, is refused.
    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=MAX_TEXT)


class LooksLike:
    """Marks a value that code of ours checks: the OpenAPI document describes it by a model."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(self.model.__pydantic_core_schema__)


Value = TypeVar("Value")


def _storable(value: Value) -> Value:
    flaw = json_flaw(value)
    if flaw is not None:
        raise ValueError(f"the value {flaw}")
    return value


# JSON's own types: "5" is no number and true no 1, as they would be in a query.
Integer = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]


def _is_flag(value: object) -> object:
    if not isinstance(value, bool):
        raise PydanticCustomError("bool_type", "Input should be a valid boolean")
    return value


# The one value of a switch that the public client sends, and that cannot be turned here. A literal
# alone would take 0 for False.
Off = Annotated[Literal[False], BeforeValidator(_is_flag)]
On = Annotated[Literal[True], BeforeValidator(_is_flag)]
# Names stand in paths: no slash, nothing invisible, no space at the ends.
Name = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=MAX_NAME,
        pattern=r"^[^/\s\x00-\x1f\x7f]([^/\x00-\x1f\x7f]*[^/\s\x00-\x1f\x7f])?$",
    ),
]
Description = Annotated[str, StringConstraints(max_length=4_000)]
Values = Annotated[list[object], Field(max_length=MAX_VALUES), AfterValidator(_storable)]
Metadata = Annotated[JsonObject, Field(max_length=MAX_METADATA), AfterValidator(_storable)]

"""What filters look like, for the OpenAPI document; `app.query.condition` reads them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.http.body import JsonObject, LooksLike
from app.query.operator import Operator

Scalar = bool | int | float | str | None


class Condition(BaseModel):
    """One comparison: a field of the list, an operator that suits it, and a value."""

    model_config = ConfigDict(extra="forbid")

    field: str
    operator: Operator = Operator.EQ
    value: object = None
    case_sensitive: bool = False


class Filter(BaseModel):
    """Groups of filters, and the shorthand `{"field": value}`; all that is named must hold.

    NOT means that none of its members holds; a list as the value stands for `in`. A condition,
    `{"field", "operator", "value"}`, may stand in the place of a group.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {"AND": [{"field": "metadata.colour", "operator": "eq", "value": "blue"}]},
                {"metadata.colour": ["blue", "green"]},
            ]
        },
    )
    __pydantic_extra__: dict[str, Scalar | list[Scalar]]

    AND: list["Condition | Filter"] = Field(default_factory=list)
    OR: list["Condition | Filter"] = Field(default_factory=list)
    NOT: list["Condition | Filter"] = Field(default_factory=list)
    case_sensitive: bool = False


Filters = Annotated[JsonObject, LooksLike(Filter)]

"""What a condition may ask, and of which fields."""

from enum import StrEnum
from typing import Final

from app.query.field import Field, Kind


class Operator(StrEnum):
    """What a condition may ask."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NIN = "nin"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    EXISTS = "exists"
    IS_NULL = "is_null"
    REGEX = "regex"


_O = Operator
TEXT_OPERATORS: Final = frozenset({_O.CONTAINS, _O.STARTS_WITH, _O.ENDS_WITH, _O.REGEX})
ORDER_OPERATORS: Final = frozenset({_O.GT, _O.GTE, _O.LT, _O.LTE})


def operators_of(field: Field) -> list[Operator]:
    """The operators that make sense on the field, in the order of the enum."""
    refused: frozenset[Operator] = frozenset()
    if field.kind not in (Kind.STRING, Kind.ANY) or field.choices:
        refused |= TEXT_OPERATORS
    if field.kind is Kind.BOOLEAN or field.choices:
        refused |= ORDER_OPERATORS
    return [operator for operator in Operator if operator not in refused]

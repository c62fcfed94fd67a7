"""Filters of a request, compiled to MongoDB: the one place where the two languages meet.

Everything a user names is looked up, everything a user gives is checked, and every comparison
carries an operator of ours: `{path: {"$eq": value}}`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from app.database import Document
from app.errors import InvalidError
from app.query import value as values
from app.query.field import Field, FieldSet, Location
from app.query.operator import Operator, operators_of
from app.query.pattern import checked_pattern

MAX_DEPTH: Final = 8
MAX_CONDITIONS: Final = 100

AND, OR, NOT, CASE = "AND", "OR", "NOT", "case_sensitive"
GROUPS: Final[Mapping[str, str]] = {AND: "$and", OR: "$or", NOT: "$nor"}
CONDITION_KEYS: Final = frozenset({"field", "operator", "value", CASE})


def compile_filters(
    filters: object,
    fields: FieldSet,
    *,
    location: Location = ("body", "filters"),
    case_sensitive: bool = False,
) -> Document:
    """The MongoDB condition that the filters mean; `{}` when they ask nothing.

    A group is `{"AND": [...], "OR": [...], "NOT": [...]}`, NOT meaning that none of its members
    holds; a condition is `{"field", "operator", "value"}`; any other key is the shorthand
    `{"field": value}`, a list standing for `in`. Parts of one object are joined by AND, an empty
    list asks nothing. The four text operators ignore case unless `case_sensitive` is true where
    they stand or anywhere around it: the public client sends false with every part.
    Raises `InvalidError` and nothing else.
    """
    if filters is None:
        return {}
    return _Compiler(fields).node(filters, location, 1, case_sensitive)


@dataclass(slots=True)
class _Compiler:
    fields: FieldSet
    conditions: int = 0

    def node(self, node: object, location: Location, depth: int, case: bool) -> Document:
        """A group, a condition or shorthand."""
        if depth > MAX_DEPTH:
            raise InvalidError.at(*location, message=f"filters nest at most {MAX_DEPTH} deep")
        if not isinstance(node, dict):
            message = "a filter is an object: a group (AND, OR, NOT), a condition or shorthand"
            raise InvalidError.at(*location, message=message)
        if CASE in node:
            case = values.flag(node[CASE], (*location, CASE)) or case
        if "field" in node:
            return self.condition(node, location, case)
        parts: list[Document] = []
        for key, inner in node.items():
            if key in GROUPS:
                parts += self.group(key, inner, (*location, key), depth, case)
            elif key != CASE:
                parts.append(self.shorthand(key, inner, location))
        return joined(parts)

    def group(
        self, key: str, members: object, location: Location, depth: int, case: bool
    ) -> list[Document]:
        """Nothing, or one clause over the members that ask something."""
        if not isinstance(members, list):
            raise InvalidError.at(*location, message=f"{key} takes a list of filters")
        compiled = [
            self.node(member, (*location, i), depth + 1, case) for i, member in enumerate(members)
        ]
        if key == AND:
            compiled = [clause for clause in compiled if clause]
        return [{GROUPS[key]: compiled}] if compiled else []

    def shorthand(self, name: object, value: object, location: Location) -> Document:
        """`{"field": value}`."""
        place = (*location, str(name))
        if isinstance(value, dict):
            message = (
                "shorthand takes a value or a list of values; anything else is written "
                '{"field", "operator", "value"}'
            )
            raise InvalidError.at(*place, message=message)
        operator = Operator.IN if isinstance(value, list) else Operator.EQ
        return self.clause(self.fields.find(name, place), operator, value, place)

    def condition(self, node: Document, location: Location, case: bool) -> Document:
        """`{"field", "operator", "value"}`."""
        unknown = sorted(str(key) for key in node.keys() - CONDITION_KEYS)
        if unknown:
            message = f"a condition has field, operator and value, not {unknown[0][:50]!r}"
            raise InvalidError.at(*location, message=message, kind="extra_forbidden")
        field = self.fields.find(node["field"], (*location, "field"))
        operator = self.operator(node.get("operator", "eq"), field, (*location, "operator"))
        if "value" not in node and operator not in (Operator.EXISTS, Operator.IS_NULL):
            raise InvalidError.at(*location, "value", message="the condition has no value")
        value = node.get("value", True)
        return self.clause(field, operator, value, (*location, "value"), case)

    def operator(self, name: object, field: Field, location: Location) -> Operator:
        legal = operators_of(field)
        if not isinstance(name, str) or name not in legal:
            message = f"the operator must be one of {', '.join(legal)} on this field"
            raise InvalidError.at(*location, message=message, kind="unknown_operator")
        return Operator(name)

    def clause(
        self,
        field: Field,
        operator: Operator,
        value: object,
        location: Location,
        case: bool = True,
    ) -> Document:
        """One comparison."""
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            message = f"filters hold at most {MAX_CONDITIONS} conditions"
            raise InvalidError.at(*location, message=message)
        return {field.path: _comparison(field, operator, value, location, case)}


def joined(parts: list[Document]) -> Document:
    """All of the parts together; each keeps a document of its own, so that none hides another."""
    asking = [part for part in parts if part]
    if len(asking) < 2:
        return asking[0] if asking else {}
    return {"$and": asking}


def _comparison(
    field: Field, operator: Operator, value: object, location: Location, case: bool
) -> Document:
    match operator:
        case Operator.EQ | Operator.NE:
            return {f"${operator}": values.scalar(value, field, location)}
        case Operator.GT | Operator.GTE | Operator.LT | Operator.LTE:
            return {f"${operator}": values.some(value, field, location)}
        case Operator.IN | Operator.NIN:
            return {f"${operator}": values.several(value, field, location)}
        case Operator.EXISTS:
            return {"$exists": values.flag(value, location)}
        case Operator.IS_NULL:
            return {"$eq" if values.flag(value, location) else "$ne": None}
        case Operator.REGEX:
            return _matching(checked_pattern(value, location), case)
        case Operator.CONTAINS | Operator.STARTS_WITH | Operator.ENDS_WITH:
            quoted = re.escape(values.text(value, location))
            return _matching(PATTERNS[operator](quoted), case)
        case _:
            assert_never(operator)


# PCRE's `$` would also match before a last line feed, `\z` does not; an index helps only `^`.
PATTERNS: Final[Mapping[Operator, Callable[[str], str]]] = {
    Operator.CONTAINS: lambda quoted: quoted,
    Operator.STARTS_WITH: lambda quoted: "^" + quoted,
    Operator.ENDS_WITH: lambda quoted: quoted + r"\z",
}


def _matching(pattern: str, case: bool) -> Document:
    return {"$regex": pattern, "$options": "" if case else "i"}

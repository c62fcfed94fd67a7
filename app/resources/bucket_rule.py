"""What holds between a bucket's schema, its unique key and the objects that it has; pure."""

from typing import Final

from app.errors import InvalidError, Problem
from app.resources.property import PropertyType, shown
from app.resources.schema import BucketSchema

_T = PropertyType
NOT_UNIQUE: Final = frozenset({_T.OBJECT, _T.ARRAY, _T.JSON, _T.IMAGE})


def unique_fields(unique_key: object) -> tuple[str, ...]:
    """The names in a unique key: `"sku"` or `{"fields": ["sku", "shop"]}`; none in null."""
    match unique_key:
        case str():
            return (unique_key,)
        case {"fields": list(names)}:
            return tuple(sorted(str(name) for name in names))
        case _:
            return ()


def unique_key_problems(schema: BucketSchema, unique_key: object) -> list[Problem]:
    """Names of the key that the schema does not have, or whose values cannot be compared."""
    problems = []
    for name in unique_fields(unique_key):
        prop = schema.properties.get(name)
        if schema.properties and prop is None:
            message = f"'{shown(name)}' is not in the bucket's schema"
            problems.append(Problem(("body", "unique_key"), message))
        if prop is not None and prop.type in NOT_UNIQUE:
            message = f"'{shown(name)}' is of type {prop.type}, which has no place in a unique key"
            problems.append(Problem(("body", "unique_key"), message))
    return problems


def grown(before: BucketSchema, wanted: BucketSchema) -> BucketSchema:
    """The wanted schema, or `InvalidError` where objects that are stored might not agree with it.

    Every property stays with its type, none becomes required, and a schema without properties,
    which takes any object, gets none.
    """
    problems = []
    place = ("body", "bucket_schema", "properties")
    for name in before.properties.keys() - wanted.properties.keys():
        problems.append(Problem((*place, name), f"property '{shown(name)}' cannot be taken away"))
    for name, prop in wanted.properties.items():
        old = before.properties.get(name)
        if old is not None and old.type is not prop.type:
            message = f"property '{shown(name)}' stays of type {old.type}"
            problems.append(Problem((*place, name, "type"), message))
        if prop.required and not (old and old.required):
            message = f"property '{shown(name)}' cannot be required from now on"
            problems.append(Problem((*place, name, "required"), message))
    if wanted.properties and not before.properties:
        message = "the bucket takes any property: a schema would refuse objects that it holds"
        problems.append(Problem(place, message))
    if problems:
        raise InvalidError(problems)
    return wanted

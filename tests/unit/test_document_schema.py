"""Schemas of documents: they only grow, whatever order things are seen in."""

from hypothesis import given
from hypothesis import strategies as st

from app.resources.document_schema import (
    MAX_FIELDS,
    DocumentSchema,
    FieldSeen,
    FieldType,
    Part,
    wider,
)

seen = st.lists(
    st.builds(FieldSeen, st.sampled_from(Part), st.text(max_size=2), st.sampled_from(FieldType)),
    max_size=12,
)


@given(seen, seen)
def test_order_and_repetition_change_nothing(some: list[FieldSeen], more: list[FieldSeen]) -> None:
    schema = DocumentSchema().widened(some).widened(more)
    assert schema == DocumentSchema().widened([*more, *some])
    assert schema.widened(some) == schema
    assert DocumentSchema.from_stored(schema.to_stored()) == schema
    for each in (*some, *more):
        type_ = schema.types[each.part, each.name]
        assert wider(type_, each.type) is type_


def test_types_widen() -> None:
    assert wider(FieldType.INTEGER, FieldType.NUMBER) is FieldType.NUMBER
    assert wider(FieldType.NUMBER, FieldType.STRING) is FieldType.MIXED
    assert wider(FieldType.MIXED, FieldType.INTEGER) is FieldType.MIXED


def test_names_are_shown_as_they_are() -> None:
    fields = [
        FieldSeen(Part.FIELDS, "a.b", FieldType.STRING),
        FieldSeen(Part.VECTORS, "text", FieldType.VECTOR),
    ]
    assert DocumentSchema().widened(fields).to_json() == {
        "fields": {"a.b": "string"},
        "metadata": {},
        "vectors": {"text": "vector"},
    }


def test_a_schema_has_a_bound() -> None:
    many = [FieldSeen(Part.METADATA, str(n), FieldType.OBJECT) for n in range(MAX_FIELDS + 1)]
    full = DocumentSchema().widened(many)
    assert len(full.types) == MAX_FIELDS
    known = next(iter(full.types))
    wider_ = full.widened([FieldSeen(*known, FieldType.ARRAY)])
    assert wider_.types[known] is FieldType.MIXED

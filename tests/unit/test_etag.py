"""`If-None-Match` means what RFC 9110 says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.etag import is_among, quoted

OPAQUE = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E), max_size=20)
GAP = st.sampled_from([",", ", ", " ,", "\t,  ", ",,", " , ,"])


@pytest.mark.parametrize(
    "header",
    [
        '"7"',
        'W/"7"',
        ' "7" ',
        "*",
        " * ",
        '"6", "7"',
        '"6",W/"7","8"',
        '"a,b" , "7"',
        ',, "7" ,',
        '"", "7"',
    ],
)
def test_a_tag_that_is_named_matches(header: str) -> None:
    assert is_among('"7"', header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "7",
        '"6"',
        'W/"6"',
        '"6", "8"',
        '"a,"7",b"',
        '"7',
        '7"',
        'w/"7"',
        '"7" "7"',
        '"7", 8',
        '*, "7"',
        "**",
        '"67", "77"',
        '"7 "',
    ],
)
def test_nothing_else_does(header: str) -> None:
    assert not is_among('"7"', header)


@given(
    tags=st.lists(st.tuples(st.booleans(), OPAQUE), min_size=1, max_size=8), gap=GAP, mine=OPAQUE
)
def test_a_list_names_exactly_its_tags(tags: list[tuple[bool, str]], gap: str, mine: str) -> None:
    header = gap.join(("W/" if weak else "") + quoted(opaque) for weak, opaque in tags)
    assert is_among(quoted(mine), header) is (mine in {opaque for _, opaque in tags})


def test_a_hostile_header_is_refused_at_once() -> None:
    assert not is_among('"7"', '"7"' + " ," * 30_000 + "x")
    assert not is_among('"7"', '"7",' * 15_000 + "x")

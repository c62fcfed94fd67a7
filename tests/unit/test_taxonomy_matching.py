"""Assignments against their definition, however nodes and documents are cut into blocks."""

import random
from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest

from app.taxonomies import descent
from app.taxonomies.assignment import Assignment, Node, Step, merged_fields
from app.taxonomies.config import Enrichment, Level, MergeMode, Source
from app.taxonomies.descent import Block, assign
from app.taxonomies.similarity import MAX_PAIRS, Measured, Ranking, Vectors
from tests.taxonomy import Kept, Memory, cosine, reference

DIMENSION: Final = 8
BLOCKS: Final = (1, 3, 7, 64, 10_000)


def vectors(rng: random.Random, count: int, *, alike: bool = False) -> Vectors:
    """Random rows, zeros among them; `alike` ones are few, so that many tie."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    made = numbers.normal(size=(count, DIMENSION)).astype(np.float32)
    if alike:
        made = made[numbers.integers(0, max(1, count // 4), count)]
        made *= numbers.choice([0.5, 1.0, 4.0], (count, 1)).astype(np.float32)
    made[numbers.random(count) < 0.05] = 0
    return made


def node(name: str, collection_id: str = "col_1", key: object = None) -> Node:
    return Node(name, collection_id, name, key, {})


def flat(rng: random.Random, count: int, level: Level, block_size: int) -> Memory:
    made = vectors(rng, count, alike=rng.random() < 0.5)
    kept = [Kept(node(f"doc_{i:05}"), made[i]) for i in range(count)]
    return Memory([level], [kept], block_size)


def paths(found: list[Assignment]) -> dict[tuple[str, ...], float]:
    return {tuple(step.node.node_id for step in each.path): each.last.score for each in found}


@pytest.mark.parametrize("seed", range(12))
def test_the_best_of_one_level_are_those_of_the_definition(seed: int) -> None:
    rng = random.Random(seed)
    level = Level((Source("col_1"),), rng.randint(1, 6), rng.choice([-1.0, -0.1, 0.0, 0.4]))
    memory = flat(rng, rng.randint(1, 90), level, rng.choice(BLOCKS))
    documents = vectors(rng, 12)
    for document, found in zip(documents, assign(documents, [level], memory), strict=True):
        expected = reference(document, memory)
        assert paths(found) == pytest.approx(expected, abs=1e-12)
        scores = [each.last.score for each in found]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("seed", range(12))
def test_a_hierarchy_is_descended_as_the_definition_says(seed: int) -> None:
    rng = random.Random(seed)
    fields = [rng.choice([None, "parent"]) for _ in range(3)]
    levels = [
        Level(
            (Source(f"col_{depth}", parent_field=fields[depth] if depth else None),), *_bounds(rng)
        )
        for depth in range(3)
    ]
    nodes = []
    for depth in range(3):
        made = vectors(rng, rng.randint(1, 30))
        nodes.append(
            [
                Kept(
                    node(f"doc_{depth}_{i:03}", f"col_{depth}", rng.randint(0, 4)),
                    made[i],
                    rng.randint(0, 4),
                )
                for i in range(len(made))
            ]
        )
    memory = Memory(levels, nodes, rng.choice(BLOCKS))
    documents = vectors(rng, 15)
    for document, found in zip(documents, assign(documents, levels, memory), strict=True):
        assert paths(found) == pytest.approx(reference(document, memory), abs=1e-12)


def _bounds(rng: random.Random) -> tuple[int, float]:
    return rng.randint(1, 4), rng.choice([-0.3, 0.0, 0.2])


def test_a_tree_of_collections_is_descended_within_its_branches() -> None:
    levels = [
        Level((Source("col_a"), Source("col_b")), 1, 0.0),
        Level((Source("col_aa", "col_a"), Source("col_bb", "col_b")), 1, 0.0),
    ]
    one, other = np.eye(2, DIMENSION, dtype=np.float32)
    memory = Memory(
        levels,
        [
            [Kept(node("doc_a", "col_a"), one), Kept(node("doc_b", "col_b"), other)],
            [
                Kept(node("doc_aa", "col_aa"), one + other),
                Kept(node("doc_bb", "col_bb"), np.float32(3) * one + other),
            ],
        ],
        2,
    )
    document = np.array([[2, 1] + [0] * 6], np.float32)
    (found,) = assign(document, levels, memory)  # doc_bb is more like it, and in another branch
    assert list(paths(found)) == [("doc_a", "doc_aa")]


CUTS: Final = ((1, 100), (3, 13), (7, 100), (64, 1), (100, 1), (100, 13), (100, 100))


def test_scores_are_the_same_to_the_last_bit_however_it_is_cut() -> None:
    """By how many nodes, and how many documents, come together."""
    nodes, documents = (vectors(random.Random(seed), 100, alike=True) for seed in (0, 1))
    outcomes = set()
    for size, rows in CUTS:
        hits = []
        for first in range(0, 100, rows):
            ranking = Ranking(documents[first : first + rows], top_k=5, threshold=0.1)
            for start in range(0, 100, size):
                ranking.add(Measured.of(nodes[start : start + size]))
            hits += ranking.hits()
        outcomes.add(repr(hits))
    assert len(outcomes) == 1


def test_ties_go_to_the_lower_id_and_a_score_at_the_threshold_is_not_above_it() -> None:
    level = Level((Source("col_1"),), 2, 0.0)
    same, apart = np.eye(2, DIMENSION, dtype=np.float32)
    kept = [Kept(node(f"doc_{i}"), same) for i in range(5)]
    memory = Memory([level], [kept], 2)
    found = assign(np.array([same, apart]), [level], memory)
    assert [list(paths(each)) for each in found] == [[("doc_0",), ("doc_1",)], []]


def test_huge_and_tiny_numbers_are_compared() -> None:
    huge = np.full((1, DIMENSION), np.finfo(np.float32).max, np.float32)
    tiny = np.full((1, DIMENSION), 1e-40, np.float32)
    ranking = Ranking(huge, top_k=1, threshold=0.5)
    ranking.add(Measured.of(tiny))
    ((hit,),) = ranking.hits()
    assert hit.score == pytest.approx(1.0)
    assert cosine(huge[0], tiny[0]) == pytest.approx(1.0)


def test_what_has_no_finite_length_is_like_nothing() -> None:
    odd = np.zeros((3, DIMENSION), np.float32)
    odd[0, 0], odd[1, 0] = np.inf, np.nan
    ranking = Ranking(np.vstack([odd, np.ones((1, DIMENSION), np.float32)]), top_k=3, threshold=-1)
    ranking.add(Measured.of(odd))
    ranking.add(Measured.of(np.ones((1, DIMENSION), np.float32)))
    assert [[hit.place for hit in each] for each in ranking.hits()] == [[], [], [], [3]]


def test_products_stay_within_a_million_pairs() -> None:
    class Sizes(Memory):
        """Notes how many nodes are asked for together."""

        def blocks(self, depth: int, size: int) -> Iterator[Block]:
            asked.append(size)
            return super().blocks(depth, size)

    asked: list[int] = []
    level = Level((Source("col_1"),))
    memory = Sizes([level], [[Kept(node("doc_1"), np.ones(DIMENSION, np.float32))]], 10)
    assign(np.ones((700, DIMENSION), np.float32), [level], memory)
    assert asked == [MAX_PAIRS // 700]
    assert asked[0] * 700 <= 1_000_000


def test_numbers_are_one_key_and_no_boolean_is_one() -> None:
    assert descent.key_of(1) == descent.key_of(1.0)
    assert descent.key_of(True) != descent.key_of(1)
    assert descent.key_of("1") != descent.key_of(1)
    assert descent.key_of(["a"]) == descent.key_of(None) == descent.NOTHING


def test_a_document_gets_the_best_ones_value_or_a_list_of_all() -> None:
    colour = Enrichment("colour", "colour")
    tags = Enrichment("tag", "tags", MergeMode.APPEND)

    def assignment(*values: tuple[str, str]) -> Assignment:
        return Assignment(
            tuple(Step(Node("n", "c", "l", None, {colour: a, tags: b}), 0.5) for a, b in values)
        )

    best, second = assignment(("red", "x"), ("blue", "y")), assignment(("green", "z"))
    assert best.fields == {"colour": "blue", "tags": "y"}  # the deeper node goes before the higher
    assert merged_fields([best, second]) == {"colour": "blue", "tags": ["y", "z"]}
    replacing = Enrichment("tag", "tags")
    higher = Assignment((Step(Node("n", "c", "l", None, {replacing: "w"}), 0.9),))
    assert merged_fields([higher, second]) == {"colour": "green", "tags": ["w", "z"]}

"""Images as their shapes and intensities, in 200 numbers; nothing is fitted."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from app.resources.extractor import (
    DEFAULT_LIMITS,
    Extraction,
    Failure,
    Feature,
    Limits,
    Vector,
)
from app.resources.parameter import refuse_unknown
from workers.extractors.item import merge, take
from workers.extractors.picture import SIDE, Square, grey_square

DIRECTIONS: Final = 8
CELLS: Final = 4  # a side
BLOCKS: Final = 8  # a side
LEVELS: Final = 8

DIMENSION: Final = CELLS * CELLS * DIRECTIONS + BLOCKS * BLOCKS + LEVELS

# Shapes tell more than brightness does: with these the whole of the intensities weighs at most
# half as much in a distance as the whole of the shapes, and the histogram a quarter.
_BLOCK_WEIGHT: Final = 0.5
_LEVEL_WEIGHT: Final = 0.25

# Squares worked on at once: their float32 planes stay within a core's cache.
_GROUP: Final = 64


class ImageExtractor:
    """Orientations of edges in 4×4 cells, brightness in 8×8 blocks, a histogram of 8 levels."""

    inputs = ("image",)

    def __init__(self, parameters: Mapping[str, object], limits: Limits = DEFAULT_LIMITS) -> None:
        """Takes no parameters; `limits.max_image_pixels` bounds what is decoded."""
        refuse_unknown(parameters, ())
        self._max_pixels = limits.max_image_pixels

    @property
    def feature(self) -> Feature:
        """Float32 for Euclidean distance: 128 of shape, 64 of brightness, 8 of its histogram."""
        return Feature(
            name="image",
            dimension=DIMENSION,
            description="orientations of edges (128), brightness (64), its histogram (8)",
            source="Dalal & Triggs 2005 (HOG), DAISY's orientation maps, RootSIFT's square root",
        )

    def extract(self, items: Sequence[Mapping[str, object]]) -> list[Extraction]:
        """One vector of shape (200,) an image; what cannot be decoded has none."""
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, and of large images that the limit lets through.
            warnings.simplefilter("ignore")
            parts = [self._square(item) for item in items]
        squares = [part for part in parts if not isinstance(part, Failure)]
        groups = (squares[start : start + _GROUP] for start in range(0, len(squares), _GROUP))
        return merge(parts, (vector for group in groups for vector in describe(np.stack(group))))

    def _square(self, item: Mapping[str, object]) -> Square | Failure:
        content = take(item, "image", bytes)
        if isinstance(content, Failure):
            return content
        return grey_square(content, max_pixels=self._max_pixels)


def describe(squares: npt.NDArray[np.uint8]) -> Vector:
    """The vectors, float32 of shape (n, 200), of `squares`, uint8 of shape (n, 32, 32).

    Only sums along a row's own pixels, products and square roots, no matrix product whose order
    depends on n: a row has the same bits whatever the others are.
    """
    planes = squares.astype(np.float32) / np.float32(255)
    blocks = _cell_means(planes, BLOCKS) * np.float32(_BLOCK_WEIGHT / BLOCKS)
    levels = np.sqrt(_histogram(squares)) * np.float32(_LEVEL_WEIGHT)
    return np.hstack([_shapes(planes), blocks, levels])


def _shapes(planes: Vector) -> Vector:
    """Square roots of each direction's share of the edges in each cell; (n, 128), of length ≤ 1.

    A pixel's gradient goes to direction b as |g|·max(0, cos(angle to b))⁴: DAISY's orientation
    maps (Tola et al. 2010), narrower by the fourth power. The square root of the shares, so that
    Euclidean distance is Hellinger's, is RootSIFT's (Arandjelović & Zisserman 2012).
    """
    edged = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = edged[:, 1:-1, 2:] - edged[:, 1:-1, :-2]
    down = edged[:, 2:, 1:-1] - edged[:, :-2, 1:-1]
    strength = np.sqrt(across * across + down * down) + np.float32(1e-6)
    maps = []
    for angle in np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS):
        along = across * np.float32(np.cos(angle)) + down * np.float32(np.sin(angle))
        cosine = np.maximum(along, 0) / strength
        square = cosine * cosine
        maps.append(_cell_means(strength * square * square, CELLS))
    cells = np.hstack(maps)
    roots: Vector = np.sqrt(cells / (cells.sum(axis=1, keepdims=True) + np.float32(1e-6)))
    return roots


def _cell_means(planes: Vector, cells: int) -> Vector:
    """Means over `cells` × `cells` cells of each plane; (n, cells²)."""
    count, size = len(planes), SIDE // cells
    means: Vector = planes.reshape(count, cells, size, cells, size).mean(axis=(2, 4))
    return means.reshape(count, cells * cells)


def _histogram(squares: npt.NDArray[np.uint8]) -> Vector:
    """The share of each of 8 equal levels among a square's pixels; (n, 8), each row sums to 1."""
    count = len(squares)
    places = squares.reshape(count, -1) // (256 // LEVELS) + LEVELS * np.arange(count)[:, None]
    totals = np.bincount(places.ravel(), minlength=LEVELS * count).reshape(count, LEVELS)
    return (totals / (SIDE * SIDE)).astype(np.float32)

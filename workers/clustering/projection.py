"""Points in the plane, for a picture."""

from dataclasses import dataclass
from importlib import import_module
from typing import Final, Literal

import numpy as np
from sklearn.decomposition import PCA

from app.resources.extractor import Vector
from workers.clustering.membership import Rows
from workers.clustering.repetition import repeatable

ProjectionMethod = Literal["pca", "umap"]

# More than this is no more to see, and too much to draw.
POINTS: Final = 20_000
_SEED: Final = 42


@dataclass(frozen=True, slots=True)
class Projection:
    """`points`, float32 of shape (len(rows), 2), of these rows; what the two axes are."""

    method: ProjectionMethod
    rows: Rows
    points: Vector
    axes: tuple[str, str]


def project(values: Vector, method: ProjectionMethod = "pca") -> Projection:
    """At most 20,000 rows, spread evenly, in two dimensions; the same for the same values.

    Raises `PermanentError` for umap where its extra is not installed.
    """
    rows = spread(len(values))
    some = values if len(rows) == len(values) else values[rows]
    with repeatable():
        if method == "pca":
            points, axes = _principal(some)
        else:
            # Importing it raises where the extra is missing, and takes seconds.
            points = import_module("workers.clustering.umap_projection").embed(some, _SEED)
            axes = ("UMAP 1", "UMAP 2")
    return Projection(method, rows, points, axes)


def spread(count: int) -> Rows:
    """At most 20,000 of so many rows, the first and the last among them."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, POINTS)).astype(np.int64))


def _principal(values: Vector) -> tuple[Vector, tuple[str, str]]:
    """The first two principal components; zeros for what isn't there."""
    points = np.zeros((len(values), 2), dtype=np.float32)
    shares = np.zeros(2)
    kept = min(2, *values.shape)
    # One point, or equal ones, vary in no direction.
    if len(values) > 1 and bool((values != values[0]).any()):
        pca = PCA(kept, random_state=_SEED)
        # Its signs are fixed: the largest loading of each component is positive.
        points[:, :kept] = pca.fit_transform(values)
        # Points so near that their variance is nothing share it in no way.
        shares[:kept] = np.nan_to_num(pca.explained_variance_ratio_)
    first, second = (f"{share:.0%}".replace("%", " %") for share in shares)
    return points, (
        f"first principal component ({first})",
        f"second principal component ({second})",
    )

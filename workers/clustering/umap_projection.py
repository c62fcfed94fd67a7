"""Points in the plane by UMAP.

Needs the extra waybill[umap]. Without it, importing this module raises `PermanentError`.
"""

import warnings
from typing import Final

import numpy as np

from app.errors import PermanentError
from app.resources.extractor import Vector

try:
    from umap import UMAP
except ImportError as exc:
    message = "projection 'umap' needs umap-learn: install waybill[umap]"
    raise PermanentError(message) from exc

# UMAP begins with a spectral embedding, which needs more points than its dimensions; with fewer
# there is nothing to arrange.
_LEAST_POINTS: Final = 5
_NEIGHBOURS: Final = 15


def embed(values: Vector, seed: int) -> Vector:
    """Float32 of shape (n, 2); with a seed, UMAP runs on one thread and repeats itself."""
    if len(values) < _LEAST_POINTS:
        raise PermanentError(
            f"projection 'umap' needs at least {_LEAST_POINTS} vectors, and there are {len(values)}"
        )
    reducer = UMAP(
        n_components=2,
        n_neighbors=min(_NEIGHBOURS, len(values) - 1),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # It warns of graphs in pieces and of its one thread; neither keeps it from a picture.
        warnings.simplefilter("ignore")
        points: Vector = np.asarray(reducer.fit_transform(values), dtype=np.float32)
    return points

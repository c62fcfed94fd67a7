"""What makes a computation give the same bits when it is done again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sklearn
from threadpoolctl import ThreadpoolController

# Threads of k-means add their sums to the centres in the order they finish in. Two sums give the
# same bits in either order; three do not.
THREADS: Final = 2
# Distances are computed in pieces of this size, not in scikit-learn's 1 GiB.
PIECE_MIB: Final = 64


@contextmanager
def repeatable() -> Iterator[None]:
    """Within it, numerical libraries run on two threads at most, and in little extra memory."""
    controller = ThreadpoolController()
    allowed = max((library["num_threads"] for library in controller.info()), default=1)
    with (
        controller.limit(limits=min(THREADS, allowed)),
        sklearn.config_context(working_memory=PIECE_MIB),
    ):
        yield

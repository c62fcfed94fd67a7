"""What every test run needs: a temporary folder of its own."""

import shutil
import tempfile
from pathlib import Path

import pytest

_OWN = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Takes a new folder unless one is named.

    pytest's own is shared by all runs of a user, and each resets its mode: PostgreSQL, which runs
    under another user where we are root, would be locked out of it by a run beside this one.
    """
    if config.option.basetemp is None:
        config.stash[_OWN] = Path(tempfile.mkdtemp(prefix="waybill-tests-"))
        config.option.basetemp = str(config.stash[_OWN])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes the folder."""
    if (own := config.stash.get(_OWN, None)) is not None:
        shutil.rmtree(own, ignore_errors=True)

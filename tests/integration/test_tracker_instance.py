"""ProcessingTracker: which instance has which names, and what it is given to store through."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from app.errors import SettingsError
from app.tracking.pool import LazyPool
from app.tracking.tracker import ProcessingTracker
from tests.integration.tracking import begin, tracking
from tests.polling import poll


def test_a_second_construction_is_the_first_and_other_names_are_another(postgres_url: str) -> None:
    with tracking(postgres_url) as tracker:
        assert ProcessingTracker("shop", "embed") is tracker
        assert ProcessingTracker("shop", "embed", tracker.sql_client) is tracker
        other = ProcessingTracker("shop", "resize", tracker.sql_client)
        assert other is not tracker
        assert (tracker.service_name, tracker._processor_name) == ("shop", "embed")
        assert (other.service_name, other._processor_name) == ("shop", "resize")
        with pytest.raises(ValueError, match="sql_client is not valid"):
            ProcessingTracker("shop", "embed", ConnectionPool(postgres_url, open=False))
        one, two = begin(tracker, "run-1"), begin(other, "run-1")
        assert one != two
        assert other.end_event(two) is True
        assert tracker.get_processing_id("run-1") == one
        other.close()
    with pytest.raises(RuntimeError, match="closed"):
        tracker.start_event("run-2", {})


def test_constructions_at_once_give_one_instance() -> None:
    together = threading.Barrier(16)

    def construct(_: int) -> ProcessingTracker:
        together.wait()
        return ProcessingTracker("shop", "embed")

    with ThreadPoolExecutor(16) as threads:
        (tracker,) = set(threads.map(construct, range(16)))
    assert isinstance(tracker._lock, type(threading.RLock()))
    tracker.close()


@pytest.mark.parametrize("name", [None, ""])
def test_the_service_falls_back_to_the_environment(
    name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERVICE_NAME", raising=False)
    tracker = ProcessingTracker(name, "embed")
    with pytest.raises(ValueError, match="SERVICE_NAME"):
        _ = tracker.service_name
    monkeypatch.setenv("SERVICE_NAME", "of the environment")
    assert tracker.service_name == "of the environment"
    assert ProcessingTracker(name, "embed") is tracker
    monkeypatch.setenv("SERVICE_NAME", "another")
    assert tracker.service_name == "of the environment"
    assert ProcessingTracker("of the environment", "embed") is tracker
    tracker.close()


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "\ud800", "x" * 256])
def test_a_name_that_no_row_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="processor_name"):
        ProcessingTracker("shop", name)
    if name:
        with pytest.raises(ValueError, match="service_name"):
            ProcessingTracker(name, "embed")


def test_without_a_client_a_pool_over_the_settings_is_opened_at_first_use(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYBILL_POSTGRES_URL", raising=False)
    tracker = ProcessingTracker("shop", "embed")
    with pytest.raises(SettingsError, match="WAYBILL_POSTGRES_URL is not set"):
        tracker.start_event("run-1", {})
    monkeypatch.setenv("WAYBILL_POSTGRES_URL", postgres_url)
    assert tracker._sql_client is None
    started = begin(tracker, "run-1")
    pool = tracker.sql_client
    assert isinstance(pool, LazyPool)
    assert tracker.sql_client is pool
    with pytest.raises(ValueError, match="sql_client is not valid"):
        ProcessingTracker("shop", "embed", ConnectionPool(postgres_url, open=False))
    assert tracker.end_event(started) is True
    tracker.close()
    with psycopg.connect(postgres_url) as connection:
        here = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        poll(
            lambda: connection.execute(here).fetchone() == (1,),
            description="the tracker's connections are closed",
            within_s=30,
        )


def test_what_is_no_client_is_refused(postgres_url: str) -> None:
    pool = AsyncConnectionPool(postgres_url, open=False)
    for wrong in (postgres_url, 5, object(), pool, psycopg.AsyncConnection, psycopg):
        with pytest.raises(ValueError, match=r"sql_client is not valid: a .* is neither"):
            ProcessingTracker("shop", "refused", wrong)  # type: ignore[arg-type]
    tracker = ProcessingTracker("shop", "refused")
    assert tracker._sql_client is None
    tracker.close()

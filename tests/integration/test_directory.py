"""The memory of keys and namespaces: what it saves, and what it must not keep."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.database import Database

from app.access.directory import TTL_S, Directory
from app.access.key import ApiKey
from app.access.key_store import KeyStore, NewKey
from app.access.permission import Permission
from app.access.rotation import Rotation
from app.database import Document
from app.resources.namespace import NamespaceStore

HOUR_S = 3600.0


class Clock:
    """Seconds, as the test sets them."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(database: Database[Document]) -> KeyStore:
    store = KeyStore(database)
    store.ensure_indexes()
    return store


@pytest.fixture
def plain() -> str:
    return f"sk_{secrets.token_hex(16)}"


def directory_of(database: Database[Document], clock: Clock, ttl_s: float = TTL_S) -> Directory:
    return Directory(KeyStore(database), NamespaceStore(database), ttl_s=ttl_s, clock=clock)


def key_of(directory: Directory, plain: str) -> ApiKey | None:
    return asyncio.run(directory.key(plain))


def test_a_secret_that_opens_nothing_is_looked_up_once(
    database: Database[Document], keys: KeyStore, clock: Clock, plain: str
) -> None:
    directory = directory_of(database, clock)
    assert key_of(directory, plain) is None
    key = keys.register(plain, "late", Permission.READ)
    assert key_of(directory, plain) is None
    clock.now_s = TTL_S + 1
    assert key_of(directory, plain) == key


def test_a_key_in_use_does_not_wait_behind_a_flood_of_strangers(
    database: Database[Document], keys: KeyStore, clock: Clock, plain: str
) -> None:
    directory = directory_of(database, clock)
    key = keys.register(plain, "ci", Permission.READ)
    assert key_of(directory, plain) == key
    clock.now_s = TTL_S

    async def let_in() -> int:
        flood = [asyncio.create_task(directory.key(f"{plain}{number}")) for number in range(400)]
        await asyncio.sleep(0)  # all of them stand in line
        assert await directory.key(plain) == key
        before = sum(each.done() for each in flood)
        await asyncio.gather(*flood)
        return before

    assert asyncio.run(let_in()) < 200


def test_a_revoked_key_is_forgotten_in_time_or_at_once(
    database: Database[Document], keys: KeyStore, clock: Clock, plain: str
) -> None:
    here, elsewhere = (directory_of(database, clock) for _ in range(2))
    key = keys.register(plain, "ci", Permission.READ)
    assert key_of(here, plain) == key_of(elsewhere, plain) == key
    keys.revoke(key, by="key:admin")
    here.forget()
    assert (key_of(here, plain), key_of(elsewhere, plain)) == (None, key)
    clock.now_s = TTL_S
    assert key_of(elsewhere, plain) is None


def test_a_key_is_remembered_until_it_expires_and_no_longer(
    database: Database[Document], keys: KeyStore, clock: Clock, plain: str
) -> None:
    directory = directory_of(database, clock, ttl_s=10 * HOUR_S)
    in_an_hour = datetime.now(UTC) + timedelta(seconds=HOUR_S)
    new = NewKey("ci", Permission.READ, expires_at=in_an_hour)
    key = keys.create(new, plain, by="key:admin")
    assert key_of(directory, plain) is not None
    database["api_keys"].delete_one({"_id": key.key_id})  # what is found now is the memory's
    clock.now_s = HOUR_S / 2
    assert key_of(directory, plain) is not None
    clock.now_s = HOUR_S
    assert key_of(directory, plain) is None


def test_an_earlier_secret_is_remembered_until_its_overlap_ends(
    database: Database[Document], keys: KeyStore, clock: Clock, plain: str
) -> None:
    directory = directory_of(database, clock, ttl_s=10 * HOUR_S)
    key = keys.register(plain, "ci", Permission.READ)
    newer = plain + "2"
    overlap = timedelta(seconds=HOUR_S)
    Rotation(database).rotate(key, newer, overlap=overlap, by="key:admin")
    assert None not in (key_of(directory, plain), key_of(directory, newer))
    database["api_keys"].delete_one({"_id": key.key_id})
    clock.now_s = HOUR_S
    assert key_of(directory, plain) is None
    assert key_of(directory, newer) is not None

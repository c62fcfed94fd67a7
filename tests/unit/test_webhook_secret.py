"""Signing secrets, how they are sealed, and the ring that rotations make of them."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook as Oracle

from app.errors import AlreadyExistsError, SettingsError
from app.settings import Settings
from app.webhooks.keyring import MAX_KEYS, Keyring, SealedKey
from app.webhooks.secret import (
    Seal,
    SealedElsewhereError,
    make_key,
    read_secret,
    write_secret,
)

NOW = datetime(2026, 1, 31, tzinfo=UTC)


@given(st.binary(min_size=24, max_size=64))
def test_a_secret_is_read_as_it_is_written(key: bytes) -> None:
    text = write_secret(key)
    assert read_secret(text) == key
    assert Oracle(text)._whsecret == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        base64.b64encode(bytes(32)).decode(),
        write_secret(bytes(23)),
        write_secret(bytes(65)),
        write_secret(b"\xff" * 33).replace("/", "_"),
        write_secret(bytes(32)) + "\n",
        "WHSEC_" + base64.b64encode(bytes(32)).decode(),
        "whsec_ü",
    ],
)
def test_no_other_text_is_a_secret(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and 24 to 64 bytes in standard base64"):
        read_secret(text)


def test_what_is_sealed_is_opened_by_the_same_key_alone() -> None:
    seal, key = Seal(SecretStr("x" * 32)), make_key()
    sealed = seal.seal(key)
    assert key not in sealed
    assert seal.seal(key) != sealed
    assert Seal(SecretStr("x" * 32)).unseal(sealed) == key
    changed = sealed[:-5] + bytes([sealed[-5] ^ 1]) + sealed[-4:]
    for other, token in ((Seal(SecretStr("y" * 32)), sealed), (seal, changed)):
        with pytest.raises(SealedElsewhereError, match="WAYBILL_SECRET_KEY"):
            other.unseal(token)


def test_a_key_is_needed_only_to_seal_and_is_long() -> None:
    without = Seal(Settings.model_validate({}).secret_key)
    with pytest.raises(SettingsError, match="WAYBILL_SECRET_KEY is not set"):
        without.seal(b"")
    Settings.model_validate({"secret_key": "x" * 32})
    with pytest.raises(ValidationError, match="fewer than 32 characters") as refused:
        Settings.model_validate({"secret_key": "secret"})
    assert refused.value.error_count() == 1


def key(name: str, at: datetime = NOW) -> SealedKey:
    return SealedKey(name, name.encode(), at)


def test_a_later_rotation_prolongs_no_earlier_key() -> None:
    hour = timedelta(hours=1)
    ring = Keyring.first(key("a")).rotated(key("b"), hour).rotated(key("c"), 2 * hour)
    assert [each.rotation_id for each in ring.live(NOW)] == ["c", "b", "a"]
    assert ring.overlap_ends_at == NOW + 2 * hour
    assert [each.rotation_id for each in ring.live(NOW + hour)] == ["c", "b"]
    assert Keyring.from_document(ring.to_document()) == ring
    late = ring.rotated(key("d", NOW + hour), hour / 2)
    assert [each.rotation_id for each in late.keys] == ["d", "c", "b"]
    assert [each.ends_at for each in late.keys] == [None, NOW + 1.5 * hour, NOW + 1.5 * hour]
    assert ring.rotated(key("d"), timedelta()).keys == (key("d"),)


def test_a_rotation_knows_itself_again() -> None:
    ring = Keyring.first(key("a")).rotated(key("b"), timedelta())
    assert ring.repeats("b")
    assert not ring.repeats("c")
    with pytest.raises(AlreadyExistsError, match="answered before"):
        ring.repeats("a")


def test_keys_that_sign_are_bounded() -> None:
    ring = Keyring.first(key("0"))
    for number in range(1, MAX_KEYS):
        ring = ring.rotated(key(str(number)), timedelta(hours=1))
    with pytest.raises(AlreadyExistsError, match="wait until an overlap ends"):
        ring.rotated(key("more"), timedelta(hours=1))
    assert ring.rotated(key("more"), timedelta()).keys == (key("more"),)

"""The stores that a verification from the command line reads."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pymongo.errors import PyMongoError
from redis import Redis, RedisError

from app.audit.allowance import Allowance
from app.audit.report import Report
from app.audit.verify import verify
from app.database import connect
from app.errors import SettingsError, UnavailableError
from app.settings import Settings, load_settings, required

WAIT_S: Final = 5.0
# Sorting the effects of a large database may take minutes.
ANSWER_S: Final = 600.0


def settings_of(ready_file: Path | None) -> Settings:
    """The settings of this environment, with the servers that a running `waybill up` named.

    Raises `SettingsError` for a setting, or a file, that does not name them.
    """
    settings = load_settings()
    if ready_file is None:
        return settings
    return settings.model_copy(update=told_by(ready_file, ("mongo_url", "redis_url")))


def told_by(ready_file: Path, names: Iterable[str]) -> dict[str, str]:
    """These entries of the file that a running `waybill up` wrote, or `SettingsError`."""
    try:
        ready = json.loads(ready_file.read_text())
        return {name: str(ready[name]) for name in names}
    except OSError as exc:
        raise SettingsError(f"{ready_file} cannot be read: {exc.strerror}") from exc
    except (ValueError, TypeError, KeyError) as exc:
        raise SettingsError(f"{ready_file} is not what `waybill up --ready-file` writes") from exc


def verified(settings: Settings, allowance: Allowance, *, listed: int) -> Report:
    """What `verify` finds in the stores of these settings.

    `UnavailableError` or `SettingsError` says in one sentence which of them cannot be read.
    """
    redis_url = required(settings.redis_url, "redis_url")
    try:
        database = connect(settings, role="audit", wait_s=WAIT_S, answer_s=ANSWER_S)
        with (
            database.client,
            Redis.from_url(
                redis_url, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S
            ) as redis,
        ):
            return verify(database, redis, allowance=allowance, listed=listed)
    except PyMongoError as exc:
        raise UnavailableError(f"MongoDB cannot be read ({type(exc).__name__})") from exc
    except RedisError as exc:
        raise UnavailableError(f"Redis cannot be read ({type(exc).__name__})") from exc
    except ValueError as exc:  # what redis-py says of a URL that is none
        raise SettingsError(f"WAYBILL_REDIS_URL is not valid: {exc}") from exc

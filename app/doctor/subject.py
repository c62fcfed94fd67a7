"""What is examined: settings, with the servers of a running `waybill up` where it is named."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.audit.source import told_by
from app.embedded.port import LOOPBACK, url_at
from app.settings import Settings

TOLD = ("mongo_url", "redis_url", "postgres_url", "data_dir", "api_url", "flower_url")


@dataclass(frozen=True, slots=True)
class Subject:
    """An installation; `api_url` and `flower_url` are None where nothing tells them."""

    settings: Settings
    api_url: str | None
    flower_url: str | None
    is_up: bool  # one `waybill up` runs all of it, and made its secrets

    @classmethod
    def of(cls, settings: Settings, ready_file: Path | None) -> Self:
        """The installation of this environment, or the one that wrote the file."""
        if ready_file is None:
            api = url_at(settings.api_host, settings.api_port) if settings.api_port else None
            flower = url_at(LOOPBACK, settings.flower_port) if settings.flower_port else None
            return cls(settings, api, flower, is_up=False)
        told = told_by(ready_file, TOLD)
        api, flower = told.pop("api_url"), told.pop("flower_url")
        data_dir = Path(told.pop("data_dir"))
        found = settings.model_copy(update={**told, "data_dir": data_dir})
        return cls(found, api, flower, is_up=True)

    @property
    def starts_servers(self) -> bool:
        """Whether `waybill up` would start a server for want of a URL."""
        settings = self.settings
        return not (settings.mongo_url and settings.redis_url and settings.postgres_url)

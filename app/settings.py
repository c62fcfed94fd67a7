"""Every setting of the server: its type, unit and default, read from WAYBILL_… variables."""

from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import SettingsError

PREFIX = "WAYBILL_"
Port = Annotated[int, Field(ge=1, le=65535)]
Delay = Annotated[float, Field(ge=0, le=7 * 86_400)]
MIN_SECRET_KEY = 32  # characters
# Never told, however wrong; a URL may have a password in it.
SECRETS = frozenset(
    {
        "api_key",
        "secret_key",
        "flower_password",
        "mongo_url",
        "redis_url",
        "postgres_url",
        "otel_endpoint",
    }
)


class Settings(BaseSettings):
    """Values of one process, fixed at its start. The README lists each with its meaning."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    mongo_url: str | None = Field(None, description="MongoDB, a replica set (URL)")
    mongo_database: str = Field("waybill", min_length=1, description="database name")
    redis_url: str | None = Field(None, description="Redis or Valkey: broker and copies (URL)")
    postgres_url: str | None = Field(None, description="PostgreSQL, for runs (URL)")
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("waybill")),
        description="data of the embedded servers, logs, keys (folder)",
    )

    api_host: str = Field("127.0.0.1", description="address the API listens on")
    api_port: int = Field(0, ge=0, le=65535, description="port of the API; 0 takes a free one")
    api_key: SecretStr | None = Field(
        None, description="key accepted from the first start on (sk_…); `waybill up` makes one"
    )
    rate_limit_per_minute: int = Field(
        0, ge=0, le=1_000_000, description="requests a minute of each key; 0 is no limit"
    )
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024, description="largest request (bytes)")
    max_blob_bytes: int = Field(
        8 * 1024 * 1024, ge=1, le=12 * 1024 * 1024, description="largest blob of an object (bytes)"
    )
    file_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="folders that file:// may read (comma-separated)"
    )
    s3_buckets: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="what s3:// may read: `bucket` or `bucket/folder` (comma-separated)"
    )
    s3_endpoint_url: str | None = Field(
        None, pattern="^https?://", description="S3 server, where it is not AWS's (URL)"
    )
    s3_region: str | None = Field(None, min_length=1, description="region of the S3 server")
    object_timeout_s: float = Field(
        15.0, ge=0.1, le=300, description="longest read of one https:// or s3:// URL (seconds)"
    )
    egress_allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="networks that https:// may call, public ones aside (comma-separated)"
    )
    egress_allowed_ports: Annotated[tuple[Port, ...], NoDecode] = Field(
        (), description="ports that https:// may call, 80 and 443 aside (comma-separated)"
    )
    egress_ca_file: FilePath | None = Field(
        None, description="certificates trusted besides the system's (PEM)"
    )

    secret_key: SecretStr | None = Field(
        None,
        description="seals the secrets of webhooks at rest, at least 32 characters; `waybill up` "
        "makes one",
    )
    webhook_allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="networks that webhooks may call, public ones aside (comma-separated)"
    )
    webhook_allowed_ports: Annotated[tuple[Port, ...], NoDecode] = Field(
        (), description="ports that webhooks may call, 80 and 443 aside (comma-separated)"
    )
    webhook_timeout_s: float = Field(
        15.0, ge=0.1, le=60, description="longest attempt of a delivery, as a whole (seconds)"
    )
    webhook_retry_delays_s: Annotated[tuple[Delay, ...], NoDecode] = Field(
        (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400),
        min_length=1,
        max_length=20,
        description="waits before the attempts of a delivery, ±20 % (comma-separated seconds)",
    )
    webhook_in_flight: int = Field(
        100, ge=1, le=1_000, description="deliveries that one process sends at a time"
    )
    webhook_in_flight_each: int = Field(
        4, ge=1, le=100, description="deliveries to one endpoint that are sent at a time"
    )
    webhook_disable_after_days: float = Field(
        5.0, gt=0, description="without a success before an endpoint is disabled (days)"
    )
    webhook_retention_days: float = Field(
        30.0, gt=0, description="life of a delivery and its log after its end (days)"
    )

    flower_port: int = Field(0, ge=0, le=65535, description="port of Flower; 0 takes a free one")
    flower_user: str = Field("waybill", min_length=1, description="Flower's user name")
    flower_password: SecretStr | None = Field(
        None, description="Flower's password; `waybill up` makes one"
    )

    imports: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="modules with jobs of your own (comma-separated)"
    )
    lease_s: float = Field(15.0, ge=1, le=3600, description="a worker's hold on a task (seconds)")
    heartbeat_s: float = Field(5.0, ge=0.1, le=600, description="between lease renewals (seconds)")
    kill_grace_s: float = Field(
        10.0, ge=0, le=3600, description="from asking a job to end to ending its process (seconds)"
    )
    max_attempts: int = Field(3, ge=1, le=100, description="attempts of a task before it fails")
    retry_backoff_s: float = Field(
        2.0, ge=0, le=3600, description="first delay of a retry, doubled each time (seconds)"
    )
    republish_after_s: float = Field(
        10.0, ge=1, le=3600, description="age at which a message may count as lost (seconds)"
    )
    max_running_tasks: int | None = Field(
        None, ge=1, description="running tasks of a namespace that names no quota; others wait"
    )
    max_pending_tasks: int | None = Field(
        None, ge=1, description="waiting tasks of a namespace that names no quota; 429 beyond"
    )
    cluster_memory_mib: int = Field(
        2048, ge=64, description="most memory of an execution of a cluster, before it starts (MiB)"
    )
    chunk_objects: int = Field(500, ge=1, le=10_000, description="objects in one chunk of a batch")
    follow_up_debounce_s: float = Field(
        10.0, ge=0, le=86_400, description="from a batch's end to what runs after it (seconds)"
    )
    schema_debounce_s: float = Field(
        5.0, ge=0, le=86_400, description="from written documents to their schema (seconds)"
    )
    answer_cache_ttl_s: float = Field(
        10.0, ge=0, le=3600, description="life of cached answers about documents (seconds); 0: none"
    )
    max_image_pixels: int = Field(
        50_000_000, ge=1, description="largest image that is decoded (pixels)"
    )

    service_name: str = Field(
        "waybill", min_length=1, max_length=200, description="service that workers' runs are of"
    )
    run_retention_days: float = Field(
        90.0, gt=0, description="life of a run's row in PostgreSQL after its end (days)"
    )
    spool_mib: int = Field(
        256, ge=1, description="runs that wait on disk for PostgreSQL, at most (MiB)"
    )
    spool_dir: Path | None = Field(
        None, description="where those runs wait; in the data folder without it (folder)"
    )

    receipt_cache_ttl_s: int = Field(
        86_400, ge=1, description="life of a receipt's copy in Redis (seconds)"
    )
    receipt_retention_days: float = Field(
        90.0, gt=0, description="life of a receipt after its end (days)"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least level that is logged"
    )
    log_format: Literal["json", "console"] = Field("json", description="how log lines look")
    otel_endpoint: str | None = Field(
        None,
        pattern="^https?://",
        description="where traces are sent, by OTLP over HTTP (URL); none without it",
    )
    otel_sample_ratio: float = Field(
        1.0, ge=0, le=1, description="share of traces that are kept, of those that begin here"
    )

    @field_validator(
        "file_roots",
        "s3_buckets",
        "egress_allowed_networks",
        "egress_allowed_ports",
        "webhook_allowed_networks",
        "webhook_allowed_ports",
        "webhook_retry_delays_s",
        "imports",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("secret_key", mode="after")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < MIN_SECRET_KEY:
            raise ValueError(f"it has fewer than {MIN_SECRET_KEY} characters")
        return secret

    @field_validator("file_roots", mode="after")
    @classmethod
    def _absolute(cls, roots: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in roots:
            if not root.is_absolute():
                raise ValueError(f"'{root}' is not an absolute path")
        return roots

    @field_validator("s3_buckets", mode="after")
    @classmethod
    def _places(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        for place in places:
            if not place.strip("/") or place.startswith(("/", "s3:")):
                raise ValueError(f"'{place}' is neither a bucket nor bucket/folder")
        return tuple(place.rstrip("/") for place in places)


def load_settings() -> Settings:
    """Reads the environment once; a bad value raises `SettingsError` naming variable and value."""
    settings, flaws = read_settings()
    if settings is None or flaws:
        raise SettingsError(flaws[0])
    return settings


def read_settings() -> tuple[Settings | None, list[str]]:
    """The settings of the environment, and a sentence on each that is wrong.

    No settings where a value is not of its type: then nothing else is compared.
    """
    try:
        settings = Settings()
    except ValidationError as exc:
        flaws = exc.errors()
        return None, [_told(str(each["loc"][0]), each["input"], each["msg"]) for each in flaws]
    return settings, list(_clashes(settings))


def _told(name: str, value: object, message: str) -> str:
    shown = "" if name in SECRETS else f"={value!r}"
    return f"{PREFIX}{name.upper()}{shown} is not valid: {message}"


def _clashes(settings: Settings) -> Iterator[str]:
    if settings.heartbeat_s * 2 > settings.lease_s:
        yield (
            f"WAYBILL_HEARTBEAT_S={settings.heartbeat_s:g} is not valid: it must be at most half "
            f"of WAYBILL_LEASE_S={settings.lease_s:g}, so that one lost renewal costs no lease"
        )
    if settings.otel_endpoint is not None and not _has_opentelemetry():
        yield "WAYBILL_OTEL_ENDPOINT is set, but OpenTelemetry is not: install waybill[otel]"


def _has_opentelemetry() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def required(value: str | None, name: str) -> str:
    """The value, or `SettingsError` saying which variable to set."""
    if not value:
        raise SettingsError(
            f"{PREFIX}{name.upper()} is not set: set it, or start everything with `waybill up`"
        )
    return value

"""What one `waybill up` runs: the servers that no setting names, and where everything listens."""

from collections.abc import Callable

from pydantic import SecretStr

from app.embedded.layout import Layout
from app.embedded.mongo import Mongo
from app.embedded.port import free_ports
from app.embedded.postgres import Postgres
from app.embedded.role import Stack
from app.embedded.server import Server
from app.embedded.valkey import Valkey
from app.errors import SettingsError
from app.settings import Settings


def plan(settings: Settings, layout: Layout, *, workers: int) -> tuple[list[Server], Stack]:
    """The servers to start, perhaps none, and the stack that will use them.

    Secrets that no setting gives are made at the first call and found again later.
    """
    api_port, flower_port, *ports = free_ports(5)  # in one call, or two may be the same
    servers = _servers(settings, layout, ports)
    urls = {server.role: server.url for server in servers}
    password = _secret(settings.flower_password) or layout.secret("flower_password")
    _require_separable(settings.flower_user, password)
    stack = Stack(
        mongo_url=settings.mongo_url or urls["mongo"],
        redis_url=settings.redis_url or urls["redis"],
        postgres_url=settings.postgres_url or urls["postgres"],
        api_host=settings.api_host,
        api_port=settings.api_port or api_port,
        api_key=_secret(settings.api_key) or layout.secret("api_key", prefix="sk_"),
        secret_key=_secret(settings.secret_key) or layout.secret("secret_key"),
        flower_port=settings.flower_port or flower_port,
        flower_user=settings.flower_user,
        flower_password=password,
        workers=workers,
    )
    return servers, stack


def _servers(settings: Settings, layout: Layout, ports: list[int]) -> list[Server]:
    makers: list[tuple[str | None, Callable[[Layout, int], Server]]] = [
        (settings.mongo_url, Mongo),
        (settings.redis_url, Valkey),
        (settings.postgres_url, Postgres),
    ]
    missing = [make for url, make in makers if not url]
    return [make(layout, port) for make, port in zip(missing, ports, strict=False)]


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def _require_separable(user: str, password: str) -> None:
    """Flower reads `user:password,user:password`: https://flower.readthedocs.io/en/latest/auth.html"""
    if ":" in user or "," in user:
        raise SettingsError(f"WAYBILL_FLOWER_USER={user!r} is not valid: no colon and no comma")
    if "," in password:
        raise SettingsError("WAYBILL_FLOWER_PASSWORD is not valid: Flower takes no comma in it")

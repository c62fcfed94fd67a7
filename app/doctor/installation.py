"""Python, the platform and the packages that are installed."""

import platform
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from packaging.requirements import Requirement

from app.doctor.finding import Finding, fail, ok, warn

OLDEST_PYTHON: Final = (3, 11)
PACKAGE: Final = "waybill"
NEEDED: Final = ("", "server")  # "" stands for what needs no extra
OPTIONAL: Final = ("embedded", "s3", "parquet", "otel", "embeddings")


def look_at_installation() -> list[Finding]:
    """Nothing here asks a server."""
    return [_python(), _platform(), *packages(requires(PACKAGE) or [])]


def packages(requirements: Iterable[str]) -> Iterator[Finding]:
    """What is installed against the lower bounds; of extras, only what is there is looked at."""
    wanted = [Requirement(text) for text in requirements]
    lacking = [each for each in _of(wanted, NEEDED) if _flaw(each, required=True)]
    old = [each for each in _of(wanted, OPTIONAL) if _flaw(each, required=False)]
    for each in lacking:
        yield fail(
            "packages",
            f"{each.name} {_flaw(each, required=True)}",
            "install waybill[server] anew, with requirements.lock",
        )
    for each in old:
        yield warn(
            "packages",
            f"{each.name} {_flaw(each, required=False)}",
            "install the extra that it belongs to anew",
        )
    if not lacking and not old:
        yield ok("packages", "every package that is needed is new enough")


def _python() -> Finding:
    found = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return fail("python", f"Python {found} is too old", "use Python 3.11 or newer")
    return ok("python", f"Python {found}")


def _platform() -> Finding:
    name = f"{platform.system()} {platform.machine()}"
    if name != "Linux x86_64":
        return warn(
            "platform",
            f"{name} has no embedded servers",
            "set WAYBILL_MONGO_URL, WAYBILL_REDIS_URL and WAYBILL_POSTGRES_URL",
        )
    return ok("platform", name)


def _of(wanted: Iterable[Requirement], extras: Iterable[str]) -> list[Requirement]:
    """Those that one of the extras asks for on this platform, and that nothing asks for without."""
    return [
        each
        for each in wanted
        if any(each.marker is None or each.marker.evaluate({"extra": extra}) for extra in extras)
        and (each.marker is not None or "" in extras)
    ]


def _flaw(requirement: Requirement, *, required: bool) -> str | None:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"is not installed ({requirement.specifier} is needed)" if required else None
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{found} is installed, {requirement.specifier} is needed"

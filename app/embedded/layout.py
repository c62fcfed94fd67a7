"""Where everything of one embedded installation lies: one folder, closed to other users."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECRET_BYTES: Final = 32  # 256 bits: out of reach of guessing, whatever the rate
NODE_ID_HEX_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files below one data folder, which is absolute."""

    data_dir: Path

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def run(self) -> Path:
        return self.data_dir / "run"

    @property
    def spool(self) -> Path:
        """Runs that wait for the embedded PostgreSQL, which has another port at each start."""
        return self.data_dir / "spool" / "embedded"

    @property
    def processes(self) -> Path:
        return self.run / "processes.json"

    @property
    def connection(self) -> Path:
        """Where clients of the same user find the API that runs; `waybill.connection` reads it."""
        return self.run / "connection.json"

    @property
    def lock(self) -> Path:
        return self.run / "up.lock"

    @property
    def node_id(self) -> str:
        """Tells this installation's Celery nodes from those of another on the same machine."""
        return hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:NODE_ID_HEX_DIGITS]

    def log(self, role: str) -> Path:
        return self.logs / f"{role}.log"

    def make(self) -> None:
        """Makes the folders, for their owner only; safe to repeat, also while servers run.

        A data folder that exists keeps its mode: what lies in it is closed by itself.
        """
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.logs, self.run):
            private_folder(folder)

    def secret(self, name: str, *, prefix: str = "") -> str:
        """The secret kept in the file `name`, made at the first call; readable by its owner only.

        Letters, digits, `-` and `_`, so that it goes into a URL as it stands.
        """
        path = self.data_dir / name
        if not path.exists():
            write_private(path, prefix + secrets.token_urlsafe(SECRET_BYTES))
        return path.read_text()


def private_folder(path: Path) -> None:
    """Makes the folder if there is none, and closes it to other users."""
    path.mkdir(exist_ok=True)
    path.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Writes the file so that a reader finds all of it or none, and only its owner reads it."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # or a power cut leaves an empty secret under the final name
    draft.replace(path)

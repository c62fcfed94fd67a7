"""What must not be there after a run: processes that were started for it."""

from pathlib import Path

import psutil

from app.embedded.record import MARK, is_alive


def end_leftovers(folder: Path) -> list[int]:
    """Ends the processes that were told to work in the folder, and returns their numbers."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(str(folder)) and is_alive(process):
                found.append(process.pid)
                process.kill()
        except psutil.Error:
            continue
    return found

"""One watched task: what all of its watchers in this process share."""

import asyncio
import json

from app.database import Document
from app.receipts.history import Chapter
from app.receipts.reading import Reading


class Topic:
    """The newest reading of a task and its history, read once for all who wait for the next."""

    def __init__(self, reading: Reading) -> None:
        self.task_id = reading.task_id
        self.reading = reading
        self.heard = reading.version  # the newest version that there must be
        self.watchers = 0
        self.is_over = False
        self.transitions: list[Document] = []
        self.reading_history = asyncio.Lock()
        self.told = 0  # the version up to which `transitions` is complete
        self.sight: asyncio.Task[Reading | None] | None = None  # the last look of those who wait
        self.sight_s = 0.0
        self._progress: tuple[int, object] | None = None
        self._turn = asyncio.Event()

    @property
    def is_told(self) -> bool:
        """Whether `transitions` has all that led to the newest reading."""
        return self.told >= self.reading.version

    @property
    def progress(self) -> object:
        """The progress in the newest reading, parsed once for all."""
        reading = self.reading
        if self._progress is None or self._progress[0] != reading.version:
            self._progress = (reading.version, json.loads(reading.body)["progress"])
        return self._progress[1]

    def take(self, reading: Reading) -> None:
        """Makes a newer reading known to all who wait for one."""
        before = self.reading
        if reading.version <= before.version:
            return
        # Each write raises the version by one, and no transition leaves the status as it is.
        only_a_report = reading.version == before.version + 1 and reading.status is before.status
        if only_a_report and self.told == before.version:
            self.told = reading.version
        self.reading = reading
        self.heard = max(self.heard, reading.version)
        self._wake()

    def tell(self, chapter: Chapter, *, up_to: int) -> None:
        """Adds what was read of the history after the transitions that are known, when the newest
        reading was of the version `up_to`.
        """
        self.transitions += chapter.entries
        self.told = max(self.told, chapter.version, up_to)

    def end(self) -> None:
        """No reading will follow: whoever waits for one goes on without."""
        self.is_over = True
        self.sight = None
        self._wake()

    async def after(self, version: int, *, within_s: float | None = None) -> Reading | None:
        """The next reading above the version, or None: none within the time, or ever."""
        try:
            async with asyncio.timeout(within_s):
                while self.reading.version <= version and not self.is_over:
                    await self._turn.wait()
        except TimeoutError:
            return None
        return self.reading if self.reading.version > version else None

    def _wake(self) -> None:
        self._turn.set()
        self._turn = asyncio.Event()

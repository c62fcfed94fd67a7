"""Sends the chunks of an import one after another, with the journal around each request."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from waybill.cli.command_error import CommandError
from waybill.cli.exit_code import ExitCode
from waybill.cli.importing.chunk import Draft
from waybill.cli.importing.journal import BadEntry, Chunk, Intent, Journal
from waybill.cli.importing.position import JsonObject
from waybill.error import ApiError

# The server remembers a request for 24 hours; an hour less, for clocks that differ.
REMEMBERED_S: Final = 23 * 3_600.0

CONFLICT: Final = 409  # says nothing about whether the objects were stored

Post = Callable[[Sequence[JsonObject], str], JsonObject]


class AfterLoss(StrEnum):
    """What to do with a request of which nobody can tell whether it was carried out."""

    ASK = "ask"
    SEND = "send"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The way of chunks into one bucket. `post` sends objects under an `Idempotency-Key`."""

    journal: Journal
    post: Post
    key_mark: str
    after_loss: AfterLoss = AfterLoss.ASK

    def send(self, draft: Draft) -> Chunk:
        """Stores what the draft has, once, and acknowledges it in the journal.

        A chunk that an earlier run sent without hearing the answer goes out under the same key,
        and is answered as it was then. Raises `CommandError` where that cannot work any more.
        """
        object_ids: list[str] = []
        bad = list(draft.bad)
        request_key = draft.request_key(self.journal.standing.import_id)
        if draft.objects and self._may_send(draft, request_key):
            answer = self._sent(draft, request_key)
            object_ids = [str(stored["object_id"]) for stored in _rows(answer, "succeeded")]
            bad += [_refused(draft, failed) for failed in _rows(answer, "failed")]
        chunk = Chunk(draft.end, object_ids, bad)
        self.journal.acknowledge(chunk)
        return chunk

    def _sent(self, draft: Draft, request_key: str) -> JsonObject:
        try:
            return self.post(draft.objects, request_key)
        except ApiError as exc:
            if exc.status < 500 and exc.status != CONFLICT:
                self.journal.withdraw()  # refused as a whole: nothing of it was stored
            raise

    def _may_send(self, draft: Draft, request_key: str) -> bool:
        """Notes in the journal what is about to be sent; False where it is to be skipped."""
        before = self.journal.standing.intent
        lost = self._lost(before, request_key) if before else ""
        if lost and self.after_loss is AfterLoss.ASK:
            raise CommandError(
                f"The request that began with {draft.places[0]} was sent before without an answer, "
                f"and {lost}: nobody can tell whether it was stored. Look into the bucket, then "
                "say --after-loss send to send it again, or --after-loss skip.",
                ExitCode.FAILED,
            )
        if lost and self.after_loss is AfterLoss.SKIP:
            return False
        if before is None or lost:
            intent = Intent(request_key, draft.end.offset, self.key_mark, time.time())
            self.journal.intend(intent)
        return True

    def _lost(self, before: Intent, request_key: str) -> str:
        """Why the server would not know the request again; empty where it does."""
        if before.request_key != request_key:
            return "what it held has changed since"
        if before.key_mark != self.key_mark:
            return "it was sent with another API key"
        if time.time() - before.at > REMEMBERED_S:
            return "that is more than 23 hours ago"
        return ""


def key_mark(api_key: str) -> str:
    """Tells API keys apart; says nothing about them."""
    return hashlib.blake2b(api_key.encode(), digest_size=8).hexdigest()


def _refused(draft: Draft, failed: JsonObject) -> BadEntry:
    index = failed["index"]
    assert isinstance(index, int)
    return BadEntry(draft.places[index], " ".join(str(failed["error"]).split()))


def _rows(answer: JsonObject, name: str) -> list[JsonObject]:
    rows = answer[name]
    assert isinstance(rows, list)
    return rows

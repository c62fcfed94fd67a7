"""One run of an import: from where the last one stopped to the end, or to the first stop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from waybill.cli.command_error import CommandError
from waybill.cli.importing.chunk import BOUNDS, Bounds, TooManyBadError, drafts
from waybill.cli.importing.delivery import Delivery
from waybill.cli.importing.journal import BadEntry
from waybill.cli.importing.position import START, ChangedError, Flaw, JsonObject, Position
from waybill.cli.importing.source import Source


class Watch(Protocol):
    """Who is told of the course."""

    def reached(self, position: Position) -> None:
        """Everything before this place is done."""

    def bad(self, entry: BadEntry) -> None:
        """This one became no object."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of an import, all its runs together."""

    stored: int
    bad: int
    stored_before: int
    is_whole: bool
    stopped_at: BadEntry | None = None  # one too many: neither it nor what follows was taken

    def to_json(self) -> JsonObject:
        return {
            "stored": self.stored,
            "stored_before": self.stored_before,
            "bad": self.bad,
            "complete": self.is_whole,
        }


def run(
    source: Source,
    delivery: Delivery,
    watch: Watch,
    *,
    max_bad: int | None,
    bounds: Bounds = BOUNDS,
) -> Summary:
    """Sends what is left of the source. Stops where more than `max_bad` entries are bad."""
    journal = delivery.journal
    before = journal.standing
    bad_left = None if max_bad is None else max(max_bad - before.bad, 0)
    is_whole, stopped_at = True, None
    try:
        entries = source.entries(before.position)
        sent_to = before.intent.end if before.intent else 0
        for draft in drafts(
            entries, before.position, bad_left=bad_left, sent_to=sent_to, bounds=bounds
        ):
            chunk = delivery.send(draft)
            for bad in chunk.bad:
                watch.bad(bad)
            watch.reached(chunk.end)
            if max_bad is not None and journal.standing.bad > max_bad:
                is_whole = False
                break
    except TooManyBadError as exc:
        watch.bad(exc.bad)
        is_whole, stopped_at = False, exc.bad
    except ChangedError as exc:
        raise CommandError(
            f"{exc}: put back what was there, or say --restart to import everything once more."
        ) from exc
    standing = journal.standing
    return Summary(standing.stored, standing.bad, before.stored, is_whole, stopped_at)


def check(
    source: Source, flaw: Callable[[JsonObject], str | None], watch: Watch
) -> tuple[int, int]:
    """Reads everything and sends nothing; how many entries are good, and how many bad."""
    good = bad = 0
    for entry in source.entries(START):
        reason = entry.found.reason if isinstance(entry.found, Flaw) else flaw(entry.found)
        if reason is None:
            good += 1
        else:
            bad += 1
            watch.bad(BadEntry(entry.place, reason))
        watch.reached(entry.end)
    return good, bad

"""One run of a dispatcher: turns are taken, rows read ahead, begun, sent and ended, until nothing
is due.

Its loops work on the same state, on one thread. `_watch` looks for what is new, `_read` reads ahead
and gives turns back, `_pump` begins attempts and `_file` ends them, both in groups: a group is what
came together in a few milliseconds. Whatever fails in a store ends the run, in order; the
next one finds the attempts that this one cannot complete.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Final, ParamSpec, TypeVar

import structlog
from pymongo.errors import PyMongoError

from app.database import is_away
from app.deliveries.attempt import Result
from app.deliveries.delivery import Delivery, ErrorKind
from app.deliveries.health import Health
from app.deliveries.retry import Schedule
from app.deliveries.store import Ending
from app.receipts.tally import Measure, added
from app.webhooks.channel import Channel
from workers.delivery.clock import Clock
from workers.delivery.desk import Closure, Desk, Leaving, Look, Room
from workers.delivery.held import HeldMailbox
from workers.delivery.limits import Limits
from workers.delivery.sender import Sender

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# How soon after a look comes the next one, and after one that found nothing while nothing is held.
LOOK_PAUSE_S: Final = 0.05
QUIET_PAUSE_S: Final = 0.2
# Attempts are written in groups of such a time.
PACE_S: Final = 0.01
# How soon a run notices that its worker stops.
TICK_S: Final = 0.2
# For looks, reads, renewals and ends, and for groups that are begun.
THREADS: Final = 8
READS: Final = 4  # at a time
# How long a mailbox keeps its turn while others wait for one.
LONG_TURN_S: Final = 2.0
# A store that is away is asked again so often for the ends of attempts.
PATIENCE_S: Final = 0.5
RAISED: Final = "The attempt failed in here; the log of the dispatcher says of what."
NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Dispatcher:
    """Call `run` once, within a loop; `wake` from any thread."""

    def __init__(
        self,
        desk: Desk,
        senders: Mapping[Channel, Sender],
        schedule: Schedule,
        limits: Limits,
        *,
        rng: Random,
    ) -> None:
        self._desk = desk
        self._senders = senders
        self._schedule = schedule
        self._limits = limits
        self._rng = rng
        self._held: dict[str, HeldMailbox] = {}
        self._round: deque[HeldMailbox] = deque()  # who is next to choose
        self._ended: list[tuple[HeldMailbox, Ending]] = []
        self._working: set[asyncio.Task[None]] = set()  # what is begun, and what is on its way
        self._in_flight = 0  # begun, and not sent to their end
        self._slots = asyncio.Semaphore(limits.in_flight)
        self._counts = Counter[str]()
        self._alarm_at = NEVER  # when the next of those given back is due
        self._is_leaving = False
        self._closing = False
        self._error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._clock = Clock()
        self._woken = asyncio.Event()
        self._stir = asyncio.Event()  # for the pump
        self._done = asyncio.Event()  # for the filer
        self._thirst = asyncio.Event()  # for the reader

    def wake(self) -> None:
        """There may be something to do."""
        self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Delivers until nothing has been due for a while, or the worker stops.

        Raises the driver's error where MongoDB failed: what was in flight was still completed,
        if it was back in time.
        """
        self._threads = _new_threads()
        self._woken.set()
        try:
            loops = [self._file(), self._pump(), self._read(), self._keep()]
            others = [asyncio.create_task(self._ending_on_failure(each)) for each in loops]
            await self._ending_on_failure(self._watch(is_stopping))
            await self._close(others)
        finally:
            self._threads.shutdown()
        if self._error is not None:
            raise self._error

    # Looking

    async def _watch(self, is_stopping: Callable[[], bool]) -> None:
        idle_since_s = self._loop.time()
        is_due = True
        while not self._closing:
            if is_due:
                self._woken.clear()
                if self._alarm_at <= self._clock.now():
                    self._alarm_at = NEVER
                look = await self._in_thread(self._desk.look, self._room())
                self._hear(look)
                is_quiet = not (look.is_more or look.taken or self._held)
                if not is_quiet:
                    idle_since_s = self._loop.time()
                if look.is_more:
                    self._woken.set()
                await asyncio.sleep(QUIET_PAUSE_S if is_quiet else LOOK_PAUSE_S)
            if is_stopping() or self._idles(idle_since_s):
                self._closing = True
            else:
                is_due = await self._is_woken()

    def _idles(self, since_s: float) -> bool:
        """Whether nothing has been due for a while, nor will be for another."""
        idle_s = self._limits.idle_s
        return (
            not self._held
            and not self._is_leaving
            and not self._woken.is_set()
            and self._loop.time() - since_s >= idle_s
            and (self._alarm_at - self._clock.now()).total_seconds() > idle_s
        )

    async def _is_woken(self) -> bool:
        """Whether something may be due, after a moment at most."""
        wait_s = min(TICK_S, max(0.0, (self._alarm_at - self._clock.now()).total_seconds()))
        try:
            await asyncio.wait_for(self._woken.wait(), wait_s)
        except TimeoutError:
            return self._alarm_at <= self._clock.now()
        return True

    def _room(self) -> Room:
        quarantined = sum(each.health.is_quarantined for each in self._held.values())
        return Room(
            usual=self._limits.mailboxes - len(self._held),
            quarantined=self._limits.quarantined - quarantined,
        )

    def _hear(self, look: Look) -> None:
        since_s = self._loop.time()
        self._clock.set(look.now)
        for mailbox in look.taken:
            if reset := self._held.get(mailbox.mailbox_id):
                self._forget(reset)
            held = HeldMailbox.of(mailbox, each=self._limits.in_flight_each, since_s=since_s)
            self._held[mailbox.mailbox_id] = held
            self._round.append(held)
        for held in list(self._held.values()):
            rings = look.rings.get(held.mailbox_id)
            if rings is None:
                log.warning("delivery.turn_lost", mailbox_id=held.mailbox_id)
                self._forget(held)
            else:
                held.hear(rings)
        if len(self._held) >= self._limits.mailboxes:
            self._make_room()
        self._thirst.set()

    def _make_room(self) -> None:
        """No backlog, however long, keeps others from having a turn."""
        before_s = self._loop.time() - LONG_TURN_S
        for held in self._held.values():
            if held.since_s < before_s:
                held.leave()

    # Reading ahead, and giving back

    async def _read(self) -> None:
        while not self._closing:
            self._thirst.clear()
            thirsty = [each for each in self._held.values() if each.wants_rows]
            for first in range(0, len(thirsty), READS):
                await asyncio.gather(*map(self._fill, thirsty[first : first + READS]))
            if leaving := [each for each in self._held.values() if each.is_idle]:
                await self._leave(leaving)
            await self._thirst.wait()

    async def _fill(self, held: HeldMailbox) -> None:
        mailbox = held.as_mailbox()
        page = await self._in_thread(
            self._desk.read, mailbox, now=self._clock.now(), limit=held.page
        )
        if page.pause is not None:
            until = self._clock.now() + page.pause
            held.health = replace(held.health, paused_until=until)
            held.leave()
        elif not held.leaves:
            held.fill(page.rows, page.destination, rings=mailbox.rings, now_s=self._loop.time())
            self._stir.set()

    async def _leave(self, leaving: Sequence[HeldMailbox]) -> None:
        for held in leaving:
            self._forget(held)
        self._is_leaving = True
        due_at = await self._in_thread(
            self._desk.leave,
            [Leaving(held.as_mailbox(), held.verdict) for held in leaving],
            now=self._clock.now(),
        )
        self._is_leaving = False
        # A verdict told an event; else there may be room for others now.
        self._woken.set()
        self._alarm_at = min(self._alarm_at, due_at or NEVER)

    def _forget(self, held: HeldMailbox) -> None:
        self._held.pop(held.mailbox_id, None)
        held.leave()
        self._round = deque(each for each in self._round if each is not held)

    # Sending

    async def _pump(self) -> None:
        """Begins what there are slots for; a group does not wait for the one before it."""
        while not self._closing:
            self._stir.clear()
            if chosen := self._choose():
                self._spawn(self._begin(chosen))
                await asyncio.sleep(PACE_S)
            else:
                await self._stir.wait()

    async def _file(self) -> None:
        """Stores how attempts ended, until the last one has."""
        while not (self._closing and not self._ended and not self._working):
            self._done.clear()
            if ended := self._ended:
                self._ended = []
                await self._end(ended)
                await asyncio.sleep(PACE_S)
            else:
                await self._done.wait()

    def _choose(self) -> list[tuple[HeldMailbox, Delivery]]:
        """One of each mailbox in turn, until there is enough for the slots, and half as much again,
        or nobody has another.
        """
        free = self._limits.in_flight + self._limits.in_flight // 2 - self._in_flight
        chosen: list[tuple[HeldMailbox, Delivery]] = []
        refused = 0
        while free > len(chosen) and refused < len(self._round):
            held = self._round[0]
            self._round.rotate(-1)
            row = held.choose(now_s=self._loop.time())
            if row is None:
                refused += 1
                if held.wants_rows:
                    self._thirst.set()
            else:
                refused = 0
                chosen.append((held, row))
        self._in_flight += len(chosen)
        return chosen

    async def _begin(self, chosen: Sequence[tuple[HeldMailbox, Delivery]]) -> None:
        rows = [row for _, row in chosen]
        begun = await self._in_thread(self._desk.begin, rows, now=self._clock.now())
        found = {row.delivery_id: row for row in begun}
        for held, row in chosen:
            if row.delivery_id in found:
                self._spawn(self._attempt(held, found[row.delivery_id]))
            else:
                self._in_flight -= 1
                held.drop(row)
                self._stir.set()
                self._thirst.set()

    async def _end(self, ended: Sequence[tuple[HeldMailbox, Ending]]) -> None:
        try:
            await self._in_thread(self._desk.end, [ending for _, ending in ended])
        except BaseException:
            self._ended = [*ended, *self._ended]  # to end them twice harms nobody
            raise
        for held, ending in ended:
            held.settle(ending.delivery)
        self._thirst.set()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = self._loop.create_task(self._ending_on_failure(work))
        self._working.add(task)
        task.add_done_callback(self._retire)

    def _retire(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._done.set()

    async def _attempt(self, held: HeldMailbox, row: Delivery) -> None:
        destination = held.to(row)
        try:
            async with held.slots, self._slots:
                # Where it goes may have changed while it waited for a slot.
                destination = held.to(row)
                result = await self._senders[held.channel].send(row, destination)
        # The edge of an attempt: whatever it is, the log says that it failed.
        except Exception:
            log.exception("delivery.attempt_raised", delivery_id=row.delivery_id)
            result = Result(error_kind=ErrorKind.PROTOCOL, error=RAISED)
        self._counts.update(added(Measure.DELIVERED, result.error_kind or "delivered", row.channel))
        self._in_flight -= 1
        self._judge(held, row, result, url=destination.url)

    def _judge(self, held: HeldMailbox, row: Delivery, result: Result, *, url: str) -> None:
        now = self._clock.now()
        failures = held.health.consecutive_failures + 1
        verdict = self._schedule.judge(row, result, failures=failures, rng=self._rng)
        health = held.health.after(result, at=now, pause=verdict.pause)
        held.arrive(row, health, is_delivered=result.is_delivered)
        self._ended.append((held, Ending(row, result, verdict, now)))
        after = self._limits.disable_after
        reason = held.why_close(now, disable_after=after, is_gone=verdict.disables)
        if reason is not None:
            held.leave(Closure(reason, url))
        elif held.is_paused(now) or (health.is_quarantined and not result.is_delivered):
            held.leave()  # to the end of the line of those in quarantine
        self._stir.set()
        self._thirst.set()

    # Keeping and ending

    async def _keep(self) -> None:
        while not self._closing:
            await asyncio.sleep(self._limits.lease.total_seconds() / 4)
            await self._in_thread(self._desk.keep, self._healths(), self._take_counts())

    async def _close(self, loops: Sequence[asyncio.Task[None]]) -> None:
        """Lets what is in flight come to its end, and gives the turns back."""
        filer, *others = loops
        for task in others:
            task.cancel()
        self._done.set()
        await asyncio.wait([filer, *self._working], timeout=self._limits.drain_s)
        unfinished = [filer, *self._working]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*others, *unfinished, return_exceptions=True)
        # What still writes for them would begin attempts in turns that others have by then.
        self._threads.shutdown()
        self._threads = _new_threads()
        # Within the lease nobody has taken the attempts for lost.
        deadline_s = self._loop.time() + self._limits.lease.total_seconds()
        while not await self._has_closed() and self._loop.time() < deadline_s:
            await asyncio.sleep(PATIENCE_S)

    async def _has_closed(self) -> bool:
        """Whether all ends are stored and all turns given back; False while MongoDB is away."""
        endings = [ending for _, ending in self._ended]
        try:
            await self._in_thread(self._desk.end, endings)
            await self._in_thread(self._desk.close, self._healths(), self._take_counts())
        except PyMongoError as exc:
            self._error = self._error or exc
            return not is_away(exc)
        return True

    async def _ending_on_failure(self, work: Awaitable[None]) -> None:
        try:
            await work
        # The edge of a loop: without one of them the others would wait for ever.
        except Exception as exc:  # noqa: BLE001
            log.warning("delivery.interrupted", error=type(exc).__name__)
            self._error = self._error or exc
            self._closing = True
            self._woken.set()

    async def _in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await self._loop.run_in_executor(self._threads, lambda: work(*arguments, **named))

    def _take_counts(self) -> Counter[str]:
        counts, self._counts = self._counts, Counter()
        return counts

    def _healths(self) -> dict[str, Health]:
        return {each.mailbox_id: each.health for each in self._held.values()}


def _new_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="delivery")

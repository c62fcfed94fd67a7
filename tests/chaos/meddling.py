"""What producers do to open tasks: kill, cancel, suspend and resume."""

from collections.abc import Callable

from tests.chaos.desk import GONE_ON, Desk, Json


def kill(desk: Desk) -> None:
    """An open task; batches, which are open for longest, are left to `cancel`."""
    single = [task_id for task_id in desk.open if task_id not in desk.batches]
    if single:
        path = f"/v1/tasks/{desk.rng.choice(single)}/kill"
        _end(desk, path, lambda answer: answer["task"])


def cancel(desk: Desk) -> None:
    """An open batch."""
    open_ones = [task_id for task_id in desk.batches if task_id in desk.open]
    if open_ones:
        path = f"{desk.batches[desk.rng.choice(open_ones)]}/cancel"
        _end(desk, path, lambda answer: answer)


def suspend(desk: Desk) -> None:
    """Any open task; many cannot be suspended, and say so."""
    if desk.open:
        task_id = desk.rng.choice(desk.open)
        desk.suspended.append(task_id)
        desk.send(f"/v1/tasks/{task_id}/suspend", {}, _ignore, declined=GONE_ON)


def resume(desk: Desk) -> None:
    """One of those that were to be suspended."""
    if desk.suspended:
        task_id = desk.suspended.pop(desk.rng.randrange(len(desk.suspended)))
        desk.send(f"/v1/tasks/{task_id}/resume", None, _ignore, declined=GONE_ON)


def _end(desk: Desk, path: str, task_of: Callable[[Json], Json]) -> None:
    reason = desk.label("kill")
    desk.tally.try_kill(reason)

    def note(answer: Json) -> None:
        task = task_of(answer)
        desk.tally.kill(task["task_id"], task["status"])

    desk.send(path, {"reason": reason}, note)


def _ignore(answer: Json) -> None:
    """Whether it came to a pause is decided later, and seen in the receipt."""

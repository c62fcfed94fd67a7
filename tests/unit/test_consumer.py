"""The worker's consumer: events go out together, and none is forgotten."""

from collections.abc import Callable
from threading import Thread

from kombu.asynchronous import Hub

from workers.consumer import Consumer


class Recorded(Consumer):
    """Only what events need: the rest of a consumer wants a worker around it."""

    def __init__(self) -> None:
        self.hub = Hub()
        self._flush_due_s = 0.0
        self.flushes = 0

    def _flush_events(self) -> None:
        self.flushes += 1

    def take_turn(self) -> list[Callable[[], object]]:
        """What is due later, after one turn of the loop."""
        for callback in self.hub._pop_ready():
            callback()
        return [scheduled.entry for scheduled in self.hub.timer.queue]


def test_many_events_are_published_at_once() -> None:
    consumer = Recorded()
    for _ in range(50):
        consumer.on_send_event_buffered()
    (flush,) = consumer.take_turn()
    assert consumer.flushes == 0
    flush()
    assert consumer.flushes == 1


def test_a_flush_that_a_lost_connection_took_is_made_up_for() -> None:
    consumer = Recorded()
    consumer.on_send_event_buffered()
    consumer.take_turn()
    consumer.hub.timer.clear()
    consumer._flush_due_s = 0.0  # as a tenth of a second later
    consumer.on_send_event_buffered()
    assert len(consumer.take_turn()) == 1


def test_a_thread_of_the_pool_leaves_the_timers_to_the_loop() -> None:
    consumer = Recorded()
    thread = Thread(target=consumer.on_send_event_buffered)
    thread.start()
    thread.join()
    assert consumer.hub.timer.queue == []
    assert len(consumer.take_turn()) == 1

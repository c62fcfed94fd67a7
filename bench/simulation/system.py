"""A task's way through API, queue, slot and servers, as the product goes it.

A submit: the caller, the API, MongoDB and its journal, Redis. A slot: the worker's parent hands it
a message; claim and finish are each CPU of the child, then of MongoDB, and a commit; the parent
acknowledges and tells the events while the slot goes on. The parent handles one thing at a time; a
slot waits for MongoDB's answers, and not for the copies in Redis, which are written behind.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from simpy import Environment, Store

from bench.simulation.demand import Demand
from bench.simulation.station import Journal, Steps

MESSAGES: Final = 500  # that the API sends at once
SHAPE: Final = 4.0  # bursts vary by half of their mean: between constant and exponential


class Station(Protocol):
    """Where work is done."""

    def serve(self, burst_ms: float) -> Steps: ...


@dataclass(frozen=True, slots=True)
class Shard:
    """One MongoDB with its journal."""

    server: Station
    journal: Journal


@dataclass(frozen=True, slots=True)
class Node:
    """A worker: its parent process, and where its children run."""

    parent: Station
    children: Station
    slots: int


@dataclass(frozen=True, slots=True)
class Places:
    """All that a system consists of; `network_ms` is one round trip to a server."""

    client: Station
    apis: Sequence[Station]
    shards: Sequence[Shard]
    brokers: Sequence[Station]
    nodes: Sequence[Node]
    aside: Station
    network_ms: float = 0.0


@dataclass(slots=True)
class Message:
    """A task on the queue, with when its submit began."""

    begun_ms: float
    shard: Shard
    broker: Station


@dataclass(slots=True)
class System:
    """The places at work; what it has seen is kept as lists."""

    env: Environment
    demand: Demand
    places: Places
    rng: random.Random
    started_after_ms: list[float] = field(default_factory=list)
    ended_at_ms: list[float] = field(default_factory=list)
    queue: Store = field(init=False)

    def __post_init__(self) -> None:
        self.queue = Store(self.env)

    def open_slots(self) -> None:
        """Lets the workers take from the queue."""
        for node in self.places.nodes:
            for _ in range(node.slots):
                self.env.process(self._slot(node))

    def fill(self, tasks: int) -> None:
        """Puts tasks on the queue that were submitted before."""
        for _ in range(tasks):
            self.queue.put(self._message())

    def submit(self, tasks: int = 1) -> Steps:
        """One call with so many tasks; ends with its answer."""
        places, demand, message = self.places, self.demand, self._message()
        api = self.rng.choice(places.apis)
        yield from places.client.serve(self._burst(tasks * demand.client))
        yield from api.serve(self._burst(tasks * demand.api / 2))
        yield from self._write(message.shard, tasks * demand.mongo_submit)
        yield from message.shard.journal.commit()
        for first in range(0, tasks, MESSAGES):
            sent = min(MESSAGES, tasks - first)
            yield from api.serve(self._burst(sent * demand.api / 2))
            yield from self._ask(message.broker, sent * demand.redis_submit)
            self._leave(sent * demand.aside_submit)
            for _ in range(sent):
                self.queue.put(Message(message.begun_ms, message.shard, message.broker))

    def _slot(self, node: Node) -> Steps:
        demand = self.demand
        while True:
            message: Message = yield self.queue.get()
            yield from node.parent.serve(self._burst(demand.parent / 2))
            yield from node.children.serve(self._burst(demand.child / 2))
            yield from self._write(message.shard, demand.mongo_run / 2)
            self.started_after_ms.append(self.env.now - message.begun_ms)
            yield from message.shard.journal.commit()
            self._copy(message)
            yield from node.children.serve(self._burst(demand.child / 2))
            yield from self._write(message.shard, demand.mongo_run / 2)
            yield from message.shard.journal.commit()
            self._copy(message)
            self.ended_at_ms.append(self.env.now)
            self.env.process(node.parent.serve(self._burst(demand.parent / 2)))
            self._leave(demand.aside_run)

    def _write(self, shard: Shard, mean_ms: float) -> Steps:
        yield from self._ask(shard.server, mean_ms)

    def _ask(self, server: Station, mean_ms: float) -> Steps:
        if self.places.network_ms:
            yield self.env.timeout(self.places.network_ms)
        yield from server.serve(self._burst(mean_ms))

    def _copy(self, message: Message) -> None:
        """Redis's half of a run, for which no slot waits."""
        self.env.process(self._ask(message.broker, self.demand.redis_run / 2))

    def _leave(self, mean_ms: float) -> None:
        """What others do, while the task goes on."""
        self.env.process(self.places.aside.serve(self._burst(mean_ms)))

    def _burst(self, mean_ms: float) -> float:
        return self.rng.gammavariate(SHAPE, mean_ms / SHAPE) if mean_ms else 0.0

    def _message(self) -> Message:
        places = self.places
        shard, broker = self.rng.choice(places.shards), self.rng.choice(places.brokers)
        return Message(self.env.now, shard, broker)

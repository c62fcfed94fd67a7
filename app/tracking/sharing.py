"""One table for each client in this process: its trackers share an owner and a heartbeat."""

import threading
from dataclasses import dataclass, field
from typing import Any

from app.tracking.client import RDSClient
from app.tracking.event import Outcome
from app.tracking.heartbeat import Heartbeat, Told, stop_all
from app.tracking.owner import new_owner
from app.tracking.table import EventTable


@dataclass
class _Share:
    table: EventTable
    listeners: dict[object, Told] = field(default_factory=dict)
    heartbeat: Heartbeat | None = None

    def tell(self, processing_id: str, outcome: Outcome) -> None:
        for told in list(self.listeners.values()):
            told(processing_id, outcome)


class Sharing:
    """The tables of this process, each as long as a tracker uses it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: dict[int, _Share] = {}  # by the client's identity: drivers' need no hash

    def join(self, client: RDSClient, user: object, told: Told) -> EventTable:
        """The table over that client, for one more user, who is told of ends by others."""
        with self._lock:
            share = self._shares.get(id(client))
            if share is None:
                share = self._shares[id(client)] = _Share(EventTable(client, new_owner()))
            share.listeners[user] = told
            return share.table

    def beat(self, client: RDSClient) -> None:
        """From now on the owner of that table is heard; safe to repeat."""
        with self._lock:
            share = self._shares.get(id(client))
            if share is not None and share.heartbeat is None:
                heartbeat = Heartbeat(share.table, share.tell)
                heartbeat.start()
                share.heartbeat = heartbeat  # not before: a thread may not be to be had

    def leave(self, client: RDSClient, user: object) -> None:
        """One user less; the last one ends the heartbeat."""
        with self._lock:
            share = self._shares.get(id(client))
            if share is None:
                return
            share.listeners.pop(user, None)
            if share.listeners:
                return
            del self._shares[id(client)]
        if share.heartbeat is not None:
            stop_all([share.heartbeat])

    def end(self) -> None:
        """At the end of the process: ends all heartbeats, and waits for them together."""
        with self._lock:
            shares, self._shares = self._shares, {}
        stop_all([each.heartbeat for each in shares.values() if each.heartbeat is not None])

    def forget(self) -> list[Any]:
        """In a process just forked: nothing of the parent's is used; returns what it was."""
        inherited = list(self._shares.values())
        self._lock = threading.Lock()
        self._shares = {}
        return inherited

"""The roll call: a worker that lives and takes no work would go unnoticed beside the others."""

from datetime import UTC, datetime
from typing import Final

from tests.chaos import jobs
from tests.chaos.cluster import Cluster
from tests.chaos.observer import Observer
from tests.chaos.tally import Order, Tally
from waybill import Client

NAMESPACE: Final = "chaos-1"


class RollCall:
    """Makes work until every worker has taken some."""

    def __init__(self, cluster: Cluster, observer: Observer, tally: Tally, client: Client) -> None:
        self._cluster, self._observer = cluster, observer
        self._tally, self._client = tally, client
        self._began_at = datetime.now(UTC)

    def absent(self) -> str:
        """Who has taken no work since the call began; each time it is asked, there is more."""
        seen = self._observer.workers_since(self._began_at)
        names = [worker.name for worker in self._cluster.of("worker")]
        missing = [name for name in names if self._cluster.nodes[name] not in seen]
        if missing:
            self._submit(f"roll-{len(self._tally.orders)}")
        return ", ".join(f"{name} takes no work" for name in missing)

    def _submit(self, tag: str) -> None:
        order = Order(tag, jobs.PLAIN, [2])
        self._tally.order([order])
        task = self._client.tasks.submit(
            order.task_type, order.inputs, additional_data={"tag": tag}
        )
        self._tally.accept(task["task_id"], tag)

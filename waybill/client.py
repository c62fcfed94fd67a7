"""The two clients: the same calls, blocking and asynchronous."""

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from waybill.connection import find
from waybill.driver.asynchronous import AsyncDriver
from waybill.driver.blocking import SyncDriver
from waybill.driver.wire import Wire
from waybill.endpoint import D, Group, endpoint
from waybill.flow.path import path_to
from waybill.flow.retry import MAX_TRIES, Patience
from waybill.flow.step import Flow, fetch
from waybill.flow.verb import any_call, fetched, get
from waybill.groups.batch import Batches
from waybill.groups.bucket import Buckets
from waybill.groups.cluster import Clusters
from waybill.groups.collection import Collections
from waybill.groups.document import Documents
from waybill.groups.key import Keys
from waybill.groups.migration import Migrations
from waybill.groups.namespace import Namespaces
from waybill.groups.run import Runs
from waybill.groups.stored_object import Objects
from waybill.groups.task import Tasks
from waybill.groups.taxonomy import Taxonomies
from waybill.groups.webhook import Webhooks
from waybill.types import Health, JsonObject

TIMEOUT_S: Final = 60.0


class Calls(Group[D]):
    """Everything that a client can call, by groups."""

    def __init__(self, driver: D) -> None:
        super().__init__(driver)
        self.tasks = Tasks(driver)
        self.namespaces = Namespaces(driver)
        self.buckets = Buckets(driver)
        self.objects = Objects(driver)
        self.batches = Batches(driver)
        self.collections = Collections(driver)
        self.documents = Documents(driver)
        self.clusters = Clusters(driver)
        self.taxonomies = Taxonomies(driver)
        self.migrations = Migrations(driver)
        self.webhooks = Webhooks(driver)
        self.runs = Runs(driver)
        self.keys = Keys(driver)

    @endpoint
    def health(self) -> Flow[Health]:
        """OK when every part of the server answers, else DEGRADED; the parts say which."""
        return fetched(Health, get(path_to("health")))

    @endpoint
    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, str | int | float | bool] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[JsonObject]:
        """The JSON of a successful answer, for whatever has no method yet.

        A POST that reads no list gets an `Idempotency-Key`, as every create and submit does.
        """
        return fetch(any_call(method, path, body, params=params, key=idempotency_key))


class Client(Calls[SyncDriver]):
    """Calls one server with one key, in one namespace. Threads may share it.

    What is not given comes from WAYBILL_URL, WAYBILL_API_KEY and WAYBILL_NAMESPACE, or from the
    `waybill up` that runs here. A call that is safe to repeat is tried up to `max_tries` times.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        namespace: str | None = None,
        timeout_s: float = TIMEOUT_S,
        max_tries: int = MAX_TRIES,
    ) -> None:
        wire = Wire(find(base_url, api_key, namespace=namespace), timeout_s)
        super().__init__(SyncDriver(wire, Patience(max_tries)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; the client cannot be used after it."""
        self._driver.http.close()


class AsyncClient(Calls[AsyncDriver]):
    """The same for asyncio. The tasks of one event loop may share it."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        namespace: str | None = None,
        timeout_s: float = TIMEOUT_S,
        max_tries: int = MAX_TRIES,
    ) -> None:
        wire = Wire(find(base_url, api_key, namespace=namespace), timeout_s)
        super().__init__(AsyncDriver(wire, Patience(max_tries)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; the client cannot be used after it."""
        await self._driver.http.aclose()

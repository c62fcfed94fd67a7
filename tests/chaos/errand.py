"""One request that is repeated, with the same Idempotency-Key, until its answer is clear."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from app.embedded.port import LOOPBACK
from tests.chaos.link import Link
from tests.chaos.tally import Tally

TIMEOUT_S: Final = 5.0
AGAIN_AFTER_S: Final = 1.0
IN_PROGRESS: Final = "still in progress"
SHOWN_CHARACTERS: Final = 300


@dataclass(slots=True)
class Errand:
    """`then` gets the JSON of a successful answer; `declined` holds refusals that are no defect."""

    path: str
    body: object
    then: Callable[[dict[str, Any]], None]
    method: str = "POST"
    key: str | None = None
    declined: frozenset[int] = frozenset()
    due_at_s: float = field(default_factory=time.monotonic)


class Doors:
    """The APIs as one producer meets them: either may be down, frozen or cut off."""

    def __init__(
        self, links: Sequence[Link], key: str, namespace: str, tally: Tally, rng: random.Random
    ) -> None:
        headers = {"Authorization": f"Bearer {key}", "X-Namespace": namespace}
        self._clients = [
            httpx.Client(
                base_url=f"http://{LOOPBACK}:{link.port}",
                headers=headers,
                timeout=TIMEOUT_S,
                trust_env=False,  # proxies of the environment have no business on the loopback
            )
            for link in links
        ]
        self._tally = tally
        self._rng = rng

    def run(self, errand: Errand) -> bool:
        """Tries once; whether it is settled, in whichever way."""
        response = self._send(errand)
        if response is None:
            return False
        if response.is_success:
            errand.then(response.json())
            return True
        text = response.text[:SHOWN_CHARACTERS]
        if response.status_code in (429, 503) or IN_PROGRESS in text:
            return False
        if response.status_code in errand.declined:
            return True
        self._tally.find(f"{errand.method} {errand.path}: {response.status_code} {text}")
        return response.status_code < httpx.codes.INTERNAL_SERVER_ERROR

    def close(self) -> None:
        """Closes the connections."""
        for client in self._clients:
            client.close()

    def _send(self, errand: Errand) -> httpx.Response | None:
        headers = {"Idempotency-Key": errand.key} if errand.key else {}
        client = self._rng.choice(self._clients)
        try:
            response = client.request(errand.method, errand.path, json=errand.body, headers=headers)
        except httpx.TransportError as exc:
            self._tally.count(type(exc).__name__)
            return None
        self._tally.count(str(response.status_code))
        return response

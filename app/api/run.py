"""Runs of processors, as PostgreSQL keeps them: listed, read, summed up.

With `X-Namespace` these routes show the runs of that namespace, without it all that the key may
see.
"""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from app.api.run_answer import runs_json, statistic_json
from app.api.run_query import RunParams, StatisticParams, cursor_after, position_of
from app.api.shape import run as shape
from app.errors import NotFoundError
from app.http.answer import answers
from app.http.body import JsonObject
from app.http.listing import envelope, list_query
from app.http.place import Place, Reading
from app.query.page import Page
from app.receipts.receipt import rfc3339
from app.stores import Held, Stores
from app.tracking.reading.run import Window

router = APIRouter(prefix="/v1/runs", tags=["runs"])


@router.get("", responses=answers(shape.RunPage))
def list_runs(
    request: Request, place: Reading, stores: Held, params: Annotated[RunParams, Query()]
) -> JsonObject:
    """A page of runs, the newest first. Pages by number reach 10,000 runs deep, cursors further."""
    asked, query = list_query(params), params.query(_seen(place, stores))
    position = position_of(asked.cursor, query)
    window = Window(asked.limit + 1, asked.skip, position)  # one more: is there a next page?
    found = stores.runs.page(query, window, with_events=params.include_event)
    total = stores.runs.count(query) if asked.include_total else None
    runs = found[: asked.limit]
    following = cursor_after(runs[-1], query) if len(found) > asked.limit else None
    rows = runs_json(stores, runs, with_events=params.include_event)
    return envelope(request, Page(rows, asked.page, asked.limit, following, total))


@router.get("/stats", responses=answers(shape.RunStatistics))
def sum_up_runs(
    place: Reading, stores: Held, params: Annotated[StatisticParams, Query()]
) -> JsonObject:
    """How the runs of each processor went, by the day (UTC) that they started on."""
    query = params.query(_seen(place, stores), now=datetime.now(UTC))
    found = stores.runs.statistics(query)
    return {
        "results": [statistic_json(each) for each in found],
        "since": rfc3339(query.since),
        "until": rfc3339(query.until),
    }


@router.get("/{processing_id}", responses=answers(shape.WholeRun))
def get_run(processing_id: str, place: Reading, stores: Held) -> JsonObject:
    """One run, with what it was given."""
    try:
        asked = UUID(processing_id)
    except ValueError:
        asked = None
    run = stores.runs.find(asked, _seen(place, stores)) if asked else None
    if run is None:
        raise NotFoundError(f"There is no run '{processing_id[:128]}'")
    (row,) = runs_json(stores, [run], with_events=True)
    return row


def _seen(place: Place, stores: Stores) -> frozenset[str] | None:
    """The namespaces whose runs are shown. Those of a deleted one stay until their retention, for
    keys to every namespace alone.
    """
    ids = place.namespace_ids
    return ids if place.namespace_id or ids is None else stores.namespaces.existing(ids)

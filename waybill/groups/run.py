"""Runs of processors: what ran, how long, and how well."""

from datetime import datetime
from typing import cast

from waybill.endpoint import D, Group, endpoint, items
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow
from waybill.flow.verb import Params, fetched, follow, get, said
from waybill.types import Page, Run, RunStatistics, RunStatus, WholeRun

Moment = datetime | str  # a text as the API takes it: RFC 3339


class Runs(Group[D]):
    """Runs of the client's namespace; of a client without one, of all that its key may see.

    They started from `since` on and before `until`.
    """

    @items
    def list(
        self,
        *,
        service: str | None = None,
        processor: str | None = None,
        status: RunStatus | None = None,
        reference: str | None = None,
        task_id: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        include_event: bool = False,
        page_size: int = 100,
    ) -> ItemFlow[Run]:
        """Every run that is selected, the newest first, page by page."""
        params = _params(
            service=service,
            processor=processor,
            status=status,
            reference=reference,
            task_id=task_id,
            since=_text(since),
            until=_text(until),
            include_event=include_event,
        )
        return follow(Run, path_to("runs"), params, page_size=page_size)

    @endpoint
    def page(
        self,
        *,
        service: str | None = None,
        processor: str | None = None,
        status: RunStatus | None = None,
        reference: str | None = None,
        task_id: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        include_event: bool = False,
        page_size: int = 100,
        cursor: str | None = None,
        include_total: bool = False,
    ) -> Flow[Page[Run]]:
        """One page; `pagination.next_cursor` names the next."""
        params = _params(
            service=service,
            processor=processor,
            status=status,
            reference=reference,
            task_id=task_id,
            since=_text(since),
            until=_text(until),
            include_event=include_event,
            limit=page_size,
            cursor=cursor,
            include_total=include_total,
        )
        return fetched(Page[Run], get(path_to("runs"), params))

    @endpoint
    def get(self, processing_id: str) -> Flow[WholeRun]:
        """One run, with what it was given."""
        return fetched(WholeRun, get(path_to("runs", processing_id)))

    @endpoint
    def stats(
        self,
        *,
        service: str | None = None,
        processor: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> Flow[RunStatistics]:
        """How the runs of each processor went, by the day that they started on: of the last seven
        days, if nothing is said, and at most of ninety.
        """
        params = _params(
            service=service, processor=processor, since=_text(since), until=_text(until)
        )
        return fetched(RunStatistics, get(path_to("runs", "stats"), params))


def _text(moment: Moment | None) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment


def _params(**asked: object) -> Params:
    return cast(Params, said(**asked))

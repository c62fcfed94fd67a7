"""What an execution of a cluster found, to look at: groups, points and pictures."""

import hashlib
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query, Response

from app.api.cluster_answer import groups_json
from app.api.cluster_run import shown_run
from app.api.shape import cluster as shape
from app.clusters.finding import Group, Points
from app.clusters.run import Run
from app.errors import InvalidError, NotFoundError
from app.http.answer import answers, header_refs
from app.http.body import JsonObject
from app.http.caller import Caller, Reader
from app.http.etag import is_among, quoted
from app.http.switch import refused
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/clusters", tags=["clusters"])

MAX_POINTS: Final = 20_000
DEFAULT_POINTS: Final = 5_000
MAX_CENTROID_NUMBERS: Final = 2_000_000
MEDIA_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png"}

RunId = Annotated[
    str | None, Query(max_length=128, description="an execution; the latest completed without it")
]
IfNoneMatch = Annotated[str | None, Header(description="one `ETag`, or several")]


def _picture_answers(kind: Literal["svg", "png"]) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string"} if kind == "svg" else {"type": "string", "format": "binary"}
    return {
        200: {
            "description": "The picture.",
            "content": {MEDIA_TYPES[kind]: {"schema": schema}},
            "headers": header_refs(["ETag"]),
        },
        304: {"description": "Not changed."},
    }


@router.get("/{cluster_identifier}/groups", responses=answers(shape.ClusterGroups))
def get_groups(
    cluster_identifier: str,
    caller: Reader,
    stores: Held,
    run_id: RunId = None,
    include_centroids: bool = False,
) -> JsonObject:
    """The groups by their numbers; noise is in none of them.

    Centroids are refused (422) where they have more than two million numbers together.
    """
    run = _run(stores, caller, cluster_identifier, run_id)
    if include_centroids:
        _require_few_numbers(stores, run)
    groups = stores.cluster_findings.groups(run.run_id, centroids=include_centroids)
    return groups_json(run, groups, centroids=include_centroids)


@router.get(
    "/{cluster_identifier}/visualization",
    responses=answers(shape.Visualization),
    dependencies=[refused("centroids_only", "compact")],
)
def get_visualization(
    cluster_identifier: str,
    caller: Reader,
    stores: Held,
    run_id: RunId = None,
    max_points: Annotated[int, Query(ge=1, le=1_000_000)] = DEFAULT_POINTS,
) -> JsonObject:
    """Documents in the plane, 20,000 at most, spread evenly over those that were grouped."""
    run = _run(stores, caller, cluster_identifier, run_id)
    points = stores.cluster_findings.points(run.run_id)
    if points is None:
        raise _nothing_drawn()
    groups = stores.cluster_findings.groups(run.run_id)
    return _visualization(run, points, groups, max_points)


@router.get(
    "/{cluster_identifier}/visualization.svg",
    response_class=Response,
    responses=_picture_answers("svg"),
)
def get_svg(
    cluster_identifier: str,
    caller: Reader,
    stores: Held,
    run_id: RunId = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The picture of an execution, as SVG."""
    run = _run(stores, caller, cluster_identifier, run_id)
    return _picture(stores, run, "svg", if_none_match)


@router.get(
    "/{cluster_identifier}/visualization.png",
    response_class=Response,
    responses=_picture_answers("png"),
)
def get_png(
    cluster_identifier: str,
    caller: Reader,
    stores: Held,
    run_id: RunId = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The picture of an execution, as PNG."""
    run = _run(stores, caller, cluster_identifier, run_id)
    return _picture(stores, run, "png", if_none_match)


def _run(stores: Stores, caller: Caller, identifier: str, run_id: str | None) -> Run:
    cluster = stores.clusters.get(identifier, namespace_id=caller.namespace_id)
    return shown_run(stores, cluster, run_id)


def _require_few_numbers(stores: Stores, run: Run) -> None:
    """What one answer can hold: its centroids are in memory at once."""
    assert run.result is not None
    count = run.result.num_clusters
    first = stores.cluster_findings.groups(run.run_id, limit=1, centroids=True)
    numbers = count * sum(len(one.centroid) for one in first if one.centroid is not None)
    if numbers > MAX_CENTROID_NUMBERS:
        message = (
            f"the centroids of {count:,} groups have {numbers:,} numbers, and one answer holds "
            f"{MAX_CENTROID_NUMBERS:,}: leave include_centroids out"
        )
        raise InvalidError.at("query", "include_centroids", message=message)


def _picture(stores: Stores, run: Run, kind: str, if_none_match: str | None) -> Response:
    content = stores.cluster_findings.picture(run.run_id, kind)
    if content is None:
        raise _nothing_drawn()
    tag = quoted(hashlib.blake2b(content, digest_size=12).hexdigest())
    headers = {"ETag": tag}
    if if_none_match and is_among(tag, if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPES[kind], headers=headers)


def _nothing_drawn() -> NotFoundError:
    return NotFoundError("Groups by attributes have no picture: read them at /groups")


def _visualization(run: Run, points: Points, groups: list[Group], max_points: int) -> JsonObject:
    result = run.result
    assert result is not None
    assert result.projection is not None
    step = -(-len(points.document_ids) // max_points)
    shown = [
        {"document_id": document_id, "x": x, "y": y, "label": label}
        for document_id, (x, y), label in zip(
            points.document_ids[::step],
            points.places[::step].tolist(),
            points.labels[::step].tolist(),
            strict=True,
        )
    ]
    return {
        "cluster_id": run.cluster_id,
        "run_id": run.run_id,
        "method": result.projection.method,
        "axes": list(result.projection.axes),
        "total_points": result.num_points,
        "shown_points": len(shown),
        "noise_count": result.noise_count,
        "legend": [
            {"label": group.label, "name": group.name, "size": group.size} for group in groups
        ],
        "points": shown,
    }

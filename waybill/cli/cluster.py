"""`waybill clusters`: documents grouped by their vectors, or by their values."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from waybill.cli import output
from waybill.cli.argument import ClusterName, Reason, Yes, identifier
from waybill.cli.confirmation import confirm
from waybill.cli.exit_code import of_status
from waybill.cli.following import ended
from waybill.cli.json_option import object_of
from waybill.cli.option import Connection, Listing, Showing
from waybill.cli.output import Column
from waybill.cli.spread import spread

clusters = typer.Typer(help="Group documents, and see the groups.", no_args_is_help=True)

COLUMNS: Final = (
    Column("CLUSTER", "cluster_id", whole=True),
    Column("NAME", "cluster_name"),
    Column("METHOD", "algorithm"),
    Column("STATUS", "status", output.status, whole=True),
    Column("GROUPS", "num_clusters"),
    Column("CREATED", "created_at", output.age),
)
EXECUTIONS: Final = (
    Column("EXECUTION", "run_id", whole=True),
    Column("STATUS", "status", output.status, whole=True),
    Column("GROUPS", "num_clusters"),
    Column("DOCUMENTS", "num_points"),
    Column("NOISE", "noise_count"),
    Column("TASK", "task_id"),
    Column("CREATED", "created_at", output.age),
)
GROUPS: Final = (
    Column("NUMBER", "number", whole=True),
    Column("GROUP", "label"),
    Column("DOCUMENTS", "member_count"),
    Column("FOR EXAMPLE", "representatives", lambda value: _first(value)),
)

RunId = Annotated[
    str | None, typer.Option("--run", help="An execution; the latest that completed without it.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Until its task has ended.")]


@clusters.command("get")
@spread
def get(cluster: ClusterName, connection: Connection, showing: Showing) -> None:
    """Print a cluster."""
    with connection.client() as client:
        showing.output().one(client.clusters.get(cluster), id_key="cluster_id")


@clusters.command("list")
@spread
def list_clusters(listing: Listing, connection: Connection, showing: Showing) -> None:
    """List clusters, the newest first."""
    with connection.client() as client:
        found = client.clusters.list(
            filters=listing.conditions(), sort=listing.order(), page_size=listing.page_size
        )
        showing.output().many(islice(found, listing.most), COLUMNS, id_key="cluster_id")


@clusters.command("create")
@spread
def create(
    name: Annotated[str, typer.Argument(help="The name to be.", parser=identifier)],
    collection: Annotated[
        list[str], typer.Option("--collection", "-c", help="Whose documents, by name or id.")
    ],
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="kmeans, hdbscan or another, of vectors.")
    ] = None,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", "-f", help="Whose vectors, such as text.")
    ] = None,
    params: Annotated[
        str | None, typer.Option(help="The method's parameters: a JSON object, or @FILE.")
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", "-a", help="Group by a field, no method.")
    ] = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Make a cluster, by the vectors of features or by the values of attributes."""
    vector, by_values = None, None
    if attribute:
        if method or feature or params:
            raise typer.BadParameter("--attribute groups by values: leave out what is of vectors")
        by_values = {"attributes": attribute}
    elif method and feature:
        vector = {
            "feature_uris": feature,
            "clustering_method": method,
            "algorithm_params": object_of(params) if params is not None else {},
        }
    else:
        raise typer.BadParameter("name a --method and its --feature, or an --attribute")
    with connection.client() as client:
        made = client.clusters.create(
            name, collection_ids=collection, vector_config=vector, attribute_config=by_values
        )
        showing.output().one(made, id_key="cluster_id")


@clusters.command("execute")
@spread
def execute(
    cluster: ClusterName,
    sample: Annotated[int | None, typer.Option(min=2, help="Only so many documents.")] = None,
    wait: Wait = False,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Execute a cluster, and print the task."""
    with connection.client() as client:
        task = client.clusters.execute(cluster, sample_size=sample)
        if wait:
            task = ended(client, task["task_id"])
        showing.output().one(task, id_key="task_id")
    raise typer.Exit(of_status(task["status"]))


@clusters.command("executions")
@spread
def executions(
    cluster: ClusterName,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0: all.")] = 20,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """List the executions of a cluster, the newest first."""
    with connection.client() as client:
        found = client.clusters.executions(cluster, page_size=min(limit or 1_000, 1_000))
        showing.output().many(islice(found, limit or None), EXECUTIONS, id_key="run_id")


@clusters.command("cancel")
@spread
def cancel(
    cluster: ClusterName,
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="Id of the execution, run_….")],
    reason: Reason = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Ask for the end of an execution's task, and print it."""
    with connection.client() as client:
        task = client.clusters.cancel(cluster, run_id, reason=reason)
        showing.output().one(task, id_key="task_id")


@clusters.command("groups")
@spread
def groups(
    cluster: ClusterName, run: RunId = None, *, connection: Connection, showing: Showing
) -> None:
    """List the groups that an execution found; noise is in none of them."""
    shown = showing.output()
    with connection.client() as client:
        found = client.clusters.groups(cluster, run_id=run)
        shown.many(found["groups"], GROUPS, id_key="cluster_id")
        if found["noise_count"]:
            shown.said(f"{found['noise_count']} documents are noise: they are in no group.")


@clusters.command("plot")
@spread
def plot(
    cluster: ClusterName,
    to: Annotated[Path, typer.Option("--output", "-o", help="FILE.svg or FILE.png.")],
    run: RunId = None,
    *,
    connection: Connection,
    showing: Showing,
) -> None:
    """Write the picture of an execution into a file."""
    kind = _kind_of(to)
    shown = showing.output()
    with connection.client() as client:
        content = client.clusters.picture(cluster, kind=kind, run_id=run)
    to.write_bytes(content)
    size = f"{len(content)} bytes"
    shown.done({"success": True, "message": f"The picture is in {to} ({size})"}, str(to))


@clusters.command("delete")
@spread
def delete(
    cluster: ClusterName, yes: Yes = False, *, connection: Connection, showing: Showing
) -> None:
    """Delete a cluster with all that its executions found."""
    shown = showing.output()
    confirm(f"Delete the cluster '{cluster}' with its executions?", yes=yes)
    with connection.client() as client:
        shown.done(client.clusters.delete(cluster), cluster)


def _kind_of(path: Path) -> Literal["svg", "png"]:
    match path.suffix.lower():
        case ".svg":
            return "svg"
        case ".png":
            return "png"
        case _:
            raise typer.BadParameter(f"a picture is FILE.svg or FILE.png, not '{path.name}'.")


def _first(representatives: object) -> str:
    if isinstance(representatives, list) and representatives:
        return str(representatives[0]["document_id"])
    return ""

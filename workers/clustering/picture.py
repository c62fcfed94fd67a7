"""A picture of clusters, as SVG and as PNG."""

import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.style import context as style_context

from app.resources.extractor import Vector
from workers.clustering.membership import NOISE, Labels, clusters_of, members_of
from workers.clustering.palette import NAMED, NOISE_STYLE, SMALLER, STYLES, Style
from workers.clustering.projection import Projection

_SIZE_INCHES: Final = (10.0, 7.0)
_DPI: Final = 120
# An SVG of more points holds them as an image, and stays small.
_POINTS_AS_SHAPES: Final = 1500
# So few points stand apart, and a number on one of them would hide it.
_POINTS_TO_HIDE: Final = 300
_TITLE_COLUMNS: Final = 80
_TITLE_LINES: Final = 2
_TITLE_POINTS: Final = 14.0
# Ids in the SVG come of this and the drawing, not of chance.
_SALT: Final = "waybill"


@dataclass(frozen=True, slots=True)
class Picture:
    """The same drawing twice; the same bytes for the same input."""

    svg: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Layer:
    """Points that look alike, under one line of the legend, where `size` counts those not shown."""

    name: str
    size: int
    points: Vector
    style: Style
    tag: str | None = None


def draw(projection: Projection, labels: Labels, *, title: str) -> Picture:
    """The projected points, coloured by `labels`, which are of all points; noise is grey.

    The legend has each cluster with its size, of all points, too. The 20 largest clusters have a
    look each, the others share one.
    """
    found = list(layers(projection, labels))
    shown = len(projection.rows)
    # matplotlib's own defaults, whatever this machine's files set.
    with (
        style_context("default"),
        rc_context({"svg.hashsalt": _SALT}),
        warnings.catch_warnings(),
    ):
        # A title may have characters that the font hasn't; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(
            figsize=_SIZE_INCHES, dpi=_DPI, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
        )
        FigureCanvasAgg(figure)
        plane = figure.add_subplot()
        for layer in reversed(found):
            _scatter(plane, layer, shown)
        _tags(plane, found, shown)
        _label(plane, projection.axes, _subtitle(labels, shown))
        _legend(plane, found)
        _title(figure, title)
        return Picture(_written(figure, "svg").decode(), _written(figure, "png"))


def layers(projection: Projection, labels: Labels) -> Iterator[Layer]:
    """Largest cluster first, then the smaller ones as one, then noise; what lies on top first."""
    clusters = clusters_of(labels)
    members = members_of(labels, clusters)
    places = sorted(range(len(clusters)), key=lambda place: (-len(members[place]), place))
    shown = labels[projection.rows]
    # In the order of their numbers, by which one finds them in the legend.
    for style, place in zip(STYLES, sorted(places[:NAMED]), strict=False):
        cluster = clusters[place]
        points = projection.points[shown == cluster]
        yield Layer(str(cluster), len(members[place]), points, style, tag=str(cluster))
    if rest := places[NAMED:]:
        points = projection.points[np.isin(shown, clusters[rest])]
        name = f"{len(rest)} smaller clusters" if len(rest) > 1 else "1 smaller cluster"
        yield Layer(name, sum(len(members[place]) for place in rest), points, SMALLER)
    if noise := int(np.count_nonzero(labels == NOISE)):
        yield Layer("noise", noise, projection.points[shown == NOISE], NOISE_STYLE)


def _scatter(plane: Axes, layer: Layer, shown: int) -> None:
    area = float(np.clip(9000 / max(1, shown), 7, 42))
    many = shown > _POINTS_AS_SHAPES
    plane.scatter(
        layer.points[:, 0],
        layer.points[:, 1],
        s=area,
        c=layer.style.colour,
        marker=layer.style.shape,
        linewidths=0.3,
        edgecolors="white" if many else layer.style.edge,
        rasterized=many,
    )


def _tags(plane: Axes, shown_layers: list[Layer], shown: int) -> None:
    """Each named cluster's number in its middle; where points are few, above its highest one."""
    few = shown < _POINTS_TO_HIDE
    for layer in shown_layers:
        if layer.tag is None or not len(layer.points):
            continue
        highest = layer.points[np.argmax(layer.points[:, 1])]
        place = highest if few else np.median(layer.points, axis=0)
        plane.annotate(
            layer.tag,
            (float(place[0]), float(place[1])),
            xytext=(0, 10 if few else 0),
            zorder=0.9 if few else 3,  # above the grid, and beneath the points where these are few
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=11,
            fontweight="bold",
            color="#1A1A1A",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


def _label(plane: Axes, axes: tuple[str, str], subtitle: str) -> None:
    plane.set_title(subtitle, fontsize=10, color="#444444")
    plane.set_xlabel(axes[0])
    plane.set_ylabel(axes[1])
    plane.spines[["top", "right"]].set_visible(False)
    plane.grid(color="#EEEEEE", linewidth=0.8)
    plane.set_axisbelow(True)


def _legend(plane: Axes, shown_layers: list[Layer]) -> None:
    """Beside the plane, which makes room for it."""
    plane.legend(
        handles=[_key(layer) for layer in shown_layers],
        title="cluster (points)",
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        frameon=False,
        fontsize=9,
    )


def _title(figure: Figure, title: str) -> None:
    """Above all, in a smaller size where it would be wider than the picture."""
    printable = "".join(letter if letter.isprintable() else " " for letter in title)
    lines = textwrap.wrap(printable, _TITLE_COLUMNS, max_lines=_TITLE_LINES, placeholder=" …")
    # What a user named is no formula, whatever dollar signs it has.
    text = figure.suptitle(
        "\n".join(lines), fontsize=_TITLE_POINTS, fontweight="bold", parse_math=False
    )
    width = text.get_window_extent().width
    room = figure.bbox.width * 0.96
    if width > room:
        text.set_fontsize(_TITLE_POINTS * room / width)


def _key(layer: Layer) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=layer.style.shape,
        markersize=8,
        markerfacecolor=layer.style.colour,
        markeredgecolor=layer.style.edge,
        label=f"{layer.name} ({layer.size:,})",
    )


def _subtitle(labels: Labels, shown: int) -> str:
    clusters = len(clusters_of(labels))
    points = "1 point" if len(labels) == 1 else f"{len(labels):,} points"
    count = "1 cluster" if clusters == 1 else f"{clusters:,} clusters"
    sample = "" if shown == len(labels) else f", {shown:,} of the points shown"
    return f"{points}, {count}{sample}"


def _written(figure: Figure, kind: str) -> bytes:
    file = BytesIO()
    # No date and no version: the same drawing is the same bytes.
    metadata = {"Date": None, "Creator": "Waybill"} if kind == "svg" else {"Software": "Waybill"}
    figure.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()

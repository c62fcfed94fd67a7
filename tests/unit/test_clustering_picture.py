"""Projections repeat themselves; pictures have all that they are read by, and stay small."""

import io
from importlib.util import find_spec
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from app.errors import PermanentError
from app.resources.extractor import Vector
from workers.clustering.membership import Labels
from workers.clustering.palette import NAMED, NOISE_STYLE, SMALLER, STYLES
from workers.clustering.picture import draw, layers
from workers.clustering.projection import Projection, project, spread


def clouds(count: int, clusters: int) -> tuple[Projection, Labels]:
    rng = np.random.default_rng(4)
    labels = (np.arange(count) % clusters).astype(np.int32)
    points = rng.normal(size=(count, 2)) + np.stack([labels * 3, labels % 5 * 3], axis=1)
    rows = np.arange(count, dtype=np.int64)
    return Projection("pca", rows, points.astype(np.float32), ("first", "second")), labels


def test_components_are_the_same_again_and_say_what_they_explain() -> None:
    rng = np.random.default_rng(9)
    values = (rng.normal(size=(300, 12)) * np.arange(1, 13)).astype(np.float32)
    found = project(values)
    assert project(values).points.tobytes() == found.points.tobytes()
    assert found.points.shape == (300, 2)
    assert found.points[:, 0].var() > found.points[:, 1].var()
    centred = values - values.mean(axis=0, dtype=np.float64)
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    share = f"{variances[0] / variances.sum():.0%}".replace("%", " %")
    assert found.axes[0] == f"first principal component ({share})"


@pytest.mark.parametrize(
    "values",
    [
        np.ones((1, 4)),
        np.ones((9, 4)),
        np.arange(5).reshape(5, 1),
        np.eye(2),
        pytest.param(
            np.eye(3) * 1e-42, marks=pytest.mark.filterwarnings("ignore:invalid:RuntimeWarning")
        ),
    ],
)
def test_few_or_equal_points_are_projected_as_well(values: Vector) -> None:
    found = project(values.astype(np.float32))
    assert found.points.shape == (len(values), 2)
    assert np.isfinite(found.points).all()
    assert "nan" not in "".join(found.axes)


def test_a_picture_shows_points_spread_over_all() -> None:
    rows = spread(100_000)
    assert (len(rows), rows[0], rows[-1]) == (20_000, 0, 99_999)
    assert spread(3).tolist() == [0, 1, 2]
    assert spread(0).tolist() == []


@pytest.mark.skipif(find_spec("umap") is not None, reason="the extra is installed")
def test_umap_without_its_extra_says_what_to_install() -> None:
    with pytest.raises(PermanentError, match=r"install waybill\[umap\]"):
        project(np.eye(9, dtype=np.float32), "umap")


def test_the_same_points_make_the_same_bytes() -> None:
    projection, labels = clouds(60, 3)
    labels[:9] = -1
    first, second = (draw(projection, labels, title="Orders $by$ text") for _ in range(2))
    assert first == second
    root = ElementTree.fromstring(first.svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "<image" not in first.svg
    image = Image.open(io.BytesIO(first.png))
    assert (image.format, image.size) == ("PNG", (1200, 840))
    border = np.asarray(image.convert("L"))
    # Nothing touches the edge, so nothing is cut off.
    edges = (border[:2], border[-2:], border[:, :2], border[:, -2:])
    assert all((edge == 255).all() for edge in edges)


def test_many_points_are_an_image_within_the_svg() -> None:
    projection, labels = clouds(20_000, 8)
    picture = draw(projection, labels, title="W" * 300 + "\0" + "日本")
    assert "<image" in picture.svg
    assert len(picture.svg) < 1_000_000


@pytest.mark.parametrize(("clusters", "smaller"), [(1, 0), (20, 0), (21, 1), (60, 40)])
def test_the_legend_names_the_largest_clusters_and_counts_the_rest(
    clusters: int, smaller: int
) -> None:
    projection, labels = clouds(1200, clusters)
    # Half of the points are drawn; the legend counts all.
    projection = Projection("pca", projection.rows[::2], projection.points[::2], ("1", "2"))
    labels[: 1200 // 4] = -1
    found = list(layers(projection, labels))
    assert sum(layer.size for layer in found) == 1200
    assert sum(len(layer.points) for layer in found) == 600
    assert (found[-1].name, found[-1].size, found[-1].style) == ("noise", 300, NOISE_STYLE)
    names = [layer.name for layer in found[:-1]]
    numbers = [int(name) for name in names if name.isdigit()]
    assert len(numbers) == min(NAMED, clusters)
    assert numbers == sorted(numbers)
    word = "smaller cluster" if smaller == 1 else "smaller clusters"
    assert [name for name in names if not name.isdigit()] == (
        [f"{smaller} {word}"] if smaller else []
    )


def test_no_two_clusters_look_alike() -> None:
    looks = {(style.colour, style.shape) for style in (*STYLES, SMALLER, NOISE_STYLE)}
    assert len(looks) == NAMED + 2
    assert len({style.colour for style in STYLES[:8]}) == 8

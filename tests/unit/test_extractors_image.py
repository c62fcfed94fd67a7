"""The image extractor on handwritten digits, photographs' formats, and bytes that are none."""

import struct
import zlib
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from app.resources.extractor import Extraction, Failure, FailureType, Limits, Vector
from workers.extractors.image import DIMENSION, ImageExtractor
from workers.extractors.picture import grey_square

MAX_PIXELS: Final = 100_000

ORIENTATION: Final = 0x0112  # EXIF 2.3, tag of the IFD0


def encode(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    out = BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def grey(values: npt.ArrayLike) -> Image.Image:
    return Image.fromarray(np.asarray(values, np.uint8))


def scene(width: int = 60, height: int = 40) -> Image.Image:
    """A slope with a bright box in its upper left: every turn of it looks different."""
    values = np.add.outer(np.arange(height), 2 * np.arange(width)) % 256
    values[4 : height // 3, 4 : width // 3] = 255
    return grey(values)


def extract(*contents: object) -> list[Extraction]:
    limits = Limits(max_image_pixels=MAX_PIXELS)
    return ImageExtractor({}, limits).extract([{"image": content} for content in contents])


def vector(content: bytes) -> Vector:
    (made,) = extract(content)
    assert not isinstance(made, Failure), made.reason
    return made


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes of data could not fill."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    made = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        made += struct.pack(">I", len(data)) + kind + data
        made += struct.pack(">I", zlib.crc32(kind + data))
    return made


@pytest.fixture(scope="module")
def digits() -> tuple[Vector, npt.NDArray[np.int_]]:
    data = load_digits()
    extracted = extract(*(encode(grey(image * (255 / 16))) for image in data.images))
    return np.stack([made for made in extracted if not isinstance(made, Failure)]), data.target


def test_digits_of_8_by_8_pixels_are_told_apart(
    digits: tuple[Vector, npt.NDArray[np.int_]],
) -> None:
    vectors, labels = digits
    assert vectors.shape == (1797, DIMENSION) == (1797, ImageExtractor({}).feature.dimension)
    assert vectors.dtype == np.float32
    nearest = KNeighborsClassifier(5).fit(vectors[::2], labels[::2])
    # The pixels themselves reach 0.98 on this split.
    assert nearest.score(vectors[1::2], labels[1::2]) > 0.97


@pytest.mark.parametrize("index", [0, 63, 64, 1000, 1796])
def test_a_digit_alone_has_the_bits_that_it_has_among_1797(
    digits: tuple[Vector, npt.NDArray[np.int_]], index: int
) -> None:
    alone = vector(encode(grey(load_digits().images[index] * (255 / 16))))
    assert alone.tobytes() == digits[0][index].tobytes()


def test_vectors_are_finite_and_bounded(digits: tuple[Vector, npt.NDArray[np.int_]]) -> None:
    lengths = np.linalg.norm(digits[0], axis=1)
    assert 0 < lengths.min() <= lengths.max() < 1.2


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 95}),
        ("JPEG", {"quality": 95}),
    ],
)
def test_formats_agree(format_: str, options: dict[str, object]) -> None:
    made = vector(encode(scene(), format_, **options))
    assert np.linalg.norm(made - vector(encode(scene()))) < 0.15


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK"])
def test_modes_agree(mode: str) -> None:
    box = np.zeros((32, 32), np.uint8)
    box[8:24, 12:20] = 255
    image = grey(box)
    changed = (
        Image.fromarray(box.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    )
    made = grey_square(encode(changed, "TIFF"), max_pixels=MAX_PIXELS)
    assert not isinstance(made, Failure)
    assert np.abs(made.astype(int) - box).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = scene().transpose(turns[orientation]) if orientation in turns else scene()
    assert np.array_equal(vector(encode(stored, "PNG", exif=exif)), vector(encode(scene())))


def test_transparent_parts_are_white() -> None:
    see_through = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    white = Image.new("L", (20, 20), 255)
    assert np.array_equal(vector(encode(see_through)), vector(encode(white)))
    see_through.paste((0, 0, 0, 255), (5, 5, 15, 15))
    white.paste(0, (5, 5, 15, 15))
    assert np.linalg.norm(vector(encode(see_through)) - vector(encode(white))) < 0.05


def test_the_first_frame_of_several_counts() -> None:
    animated = encode(scene(), "GIF", save_all=True, append_images=[grey(np.zeros((40, 60)))])
    assert np.array_equal(vector(animated), vector(encode(scene(), "GIF")))


def test_a_large_jpeg_is_decoded_small() -> None:
    large = encode(scene().resize((1200, 800)), "JPEG", quality=95)
    extractor = ImageExtractor({})
    (made,) = extractor.extract([{"image": large}])
    assert np.linalg.norm(np.asarray(made) - vector(encode(scene()))) < 0.25


@pytest.mark.parametrize("content", [png_of_size(100_000, 100_000), png_of_size(20_000, 9_000)])
def test_a_bomb_is_refused_by_its_header(content: bytes) -> None:
    (failed,) = extract(content)
    assert failed == Failure(FailureType.TOO_LARGE, "the image has more than 100000 pixels")


def test_the_bound_is_in_pixels() -> None:
    vector(encode(grey(np.zeros((100, 1000)))))
    (failed,) = extract(encode(grey(np.zeros((100, 1001)))))
    assert isinstance(failed, Failure)
    assert failed.error_type == FailureType.TOO_LARGE


@pytest.mark.parametrize(
    ("content", "error_type"),
    [
        (None, FailureType.MISSING_INPUT),
        ("text", FailureType.WRONG_TYPE),
        (b"", FailureType.UNREADABLE),
        (b"not an image", FailureType.UNREADABLE),
        (png_of_size(30, 30), FailureType.UNREADABLE),
        (encode(scene())[:-30], FailureType.UNREADABLE),
        (encode(scene(), "JPEG")[:300], FailureType.UNREADABLE),
        (encode(scene(), "PPM"), FailureType.UNREADABLE),
        (encode(Image.new("F", (9, 9), float("nan")), "TIFF"), FailureType.UNREADABLE),
    ],
)
def test_a_bad_image_fails_alone(content: object, error_type: FailureType) -> None:
    good = encode(scene())
    first, failed, last = extract(good, content, good)
    assert isinstance(failed, Failure)
    assert failed.error_type == error_type
    assert failed.reason
    assert np.array_equal(np.asarray(first), vector(good))
    assert np.array_equal(np.asarray(last), vector(good))


def test_an_even_image_has_a_vector() -> None:
    for level in (0, 128, 255):
        assert np.isfinite(vector(encode(Image.new("L", (1, 1), level)))).all()


SMALL = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: st.binary(min_size=size[0] * size[1], max_size=size[0] * size[1]).map(
        lambda raw: encode(Image.frombytes("L", size, raw))
    )
)


@settings(deadline=None, max_examples=30)
@given(st.lists(SMALL, min_size=1, max_size=70))
def test_the_bits_do_not_depend_on_the_batch(contents: list[bytes]) -> None:
    together = extract(*contents)
    reversed_ = extract(*reversed(contents))[::-1]
    for content, one, two in zip(contents, together, reversed_, strict=True):
        assert vector(content).tobytes() == np.asarray(one).tobytes() == np.asarray(two).tobytes()


WHOLE = [encode(scene(), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")]


@settings(deadline=None)
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 255)), max_size=8),
    st.integers(0, 3_000),
)
def test_damaged_bytes_never_raise(
    content: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    (made,) = extract(bytes(damaged[: len(damaged) - cut % len(damaged)]))
    assert isinstance(made, Failure) or np.isfinite(made).all()

"""Decodes an image's bytes to a small greyscale square, within bounds, whatever the bytes are."""

import struct
import zlib
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from app.resources.extractor import Failure, FailureType

SIDE: Final = 32  # pixels

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")

# What Pillow's decoders raise on bytes that are not what they claim to be. All of these mean a bad
# image: the bytes are in memory, so that no disk or network can be at fault.
_DECODER_ERRORS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_SIZE: Final = (SIDE, SIDE)
_FILTER: Final = Image.Resampling.BILINEAR

_WIDE_MODES: Final = ("I", "F")

Square = npt.NDArray[np.uint8]


def grey_square(content: bytes, *, max_pixels: int) -> Square | Failure:
    """The image as uint8 of shape (32, 32), 0 black to 255 white, or why it cannot be read.

    Turned upright as its EXIF says, transparent parts over white, the first frame of several, the
    sides squeezed to a square. An image of more than `max_pixels` by its header is not decoded.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                return _too_large(max_pixels)
            # JPEG can decode its brightness alone, at 1/2, 1/4 or 1/8 of its size.
            image.draft("L", (4 * SIDE, 4 * SIDE))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _shrink(image)
    except Image.DecompressionBombError:
        return _too_large(min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels)))
    except _DECODER_ERRORS as exc:
        reason = f"the image is damaged or of no known format ({type(exc).__name__})"
        return Failure(FailureType.UNREADABLE, reason)


def _too_large(max_pixels: int) -> Failure:
    return Failure(FailureType.TOO_LARGE, f"the image has more than {max_pixels} pixels")


def _shrink(image: Image.Image) -> Square | Failure:
    if image.mode.startswith(_WIDE_MODES):
        return _shrink_wide(image)
    if not image.has_transparency_data:
        return np.asarray(image.convert("L").resize(_SIZE, _FILTER))
    # Shrunk first: three copies of a large image would be held otherwise.
    small = image.convert("RGBA").resize(_SIZE, _FILTER)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", _SIZE, "white"), small).convert("L"))


def _shrink_wide(image: Image.Image) -> Square | Failure:
    """16-bit values by their full range; 32-bit ones, whose range no format fixes, by their own."""
    small = image.convert("F").resize(_SIZE, _FILTER)
    values = np.asarray(small, dtype=np.float64)
    if not np.isfinite(values).all():
        return Failure(FailureType.UNREADABLE, "the image has values that are not finite")
    sixteen_bits = image.mode.startswith("I;16")
    least, most = (0.0, 65535.0) if sixteen_bits else (values.min(), values.max())
    return np.clip((values - least) * (255 / ((most - least) or 1)), 0, 255).astype(np.uint8)

"""Bytes that claim to be a picture, to an RGB picture or a reason code. The bytes come from outside: nothing in them is trusted."""

import io
import warnings
from enum import StrEnum

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000
"""Width times height, inclusive: the largest phone cameras fit (48 million), 150 MB once decoded."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
"""What shops and browsers store. Pillow's other readers are not reachable from outside bytes (one starts an external program)."""

_BACKGROUND = (255, 255, 255)

# Pillow's own guard, against formats whose header understates the picture: it looks again whenever pixels are allocated.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class ImageReason(StrEnum):
    """Why bytes are no usable picture."""

    EMPTY = "image_empty"
    NOT_AN_IMAGE = "image_not_an_image"
    TRUNCATED = "image_truncated"
    TOO_MANY_PIXELS = "image_too_many_pixels"


class UndecodableImageError(ValueError):
    """Raised when bytes are no usable picture; ``reason`` is the code for the quarantine."""

    def __init__(self, reason: ImageReason, detail: str) -> None:
        self.reason = reason
        super().__init__(f"[{reason}] {detail}")


def decode_image(data: bytes | None) -> Image.Image:
    """The picture in ``data`` as RGB, upright.

    The first frame of an animation; turned as its EXIF orientation says; transparency over white; palettes, grey (also 16 bit)
    and CMYK converted.

    Raises:
        UndecodableImageError: no bytes (EMPTY), no JPEG, PNG, GIF, WebP, BMP or TIFF (NOT_AN_IMAGE), data that ends early or is
            corrupt (TRUNCATED), more than MAX_PIXELS (TOO_MANY_PIXELS).
    """
    if not data:
        raise UndecodableImageError(ImageReason.EMPTY, "no bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reason code says it better
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _decode(data)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise UndecodableImageError(ImageReason.TOO_MANY_PIXELS, str(error)) from None


def _decode(data: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UndecodableImageError(ImageReason.NOT_AN_IMAGE, f"{len(data)} bytes: {error}") from None
    try:
        picture.load()
        return _to_rgb(ImageOps.exif_transpose(picture))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise
    except Exception as error:  # noqa: BLE001  a decoder fed with hostile bytes raises whatever it likes
        raise UndecodableImageError(ImageReason.TRUNCATED, f"{picture.format}, {len(data)} bytes: {error}") from None


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    flat = Image.new("RGB", layer.size, _BACKGROUND)
    flat.paste(layer, mask=layer.getchannel("A"))
    return flat

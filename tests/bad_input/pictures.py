"""Bytes that claim to be pictures, by kind, with the outcome of each."""

import io
import zlib

import numpy as np
from PIL import Image

from karma.vision import MAX_PIXELS

RED, BLUE = (255, 0, 0), (0, 0, 255)


def _bytes(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _bomb() -> bytes:
    """A PNG of some 70 bytes whose header says one pixel row more than is allowed."""
    small = _bytes(Image.new("1", (10, 10)), "PNG")
    wide, high = MAX_PIXELS // 1000 + 1, 1000
    header = b"IHDR" + wide.to_bytes(4, "big") + high.to_bytes(4, "big") + small[24:29]
    return small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]


def _animated(kind: str) -> bytes:
    return _bytes(Image.new("RGB", (16, 16), RED), kind, save_all=True, append_images=[Image.new("RGB", (16, 16), BLUE)])


def still(kind: str) -> bytes:
    """The first frame of the animation alone."""
    return _bytes(Image.new("RGB", (16, 16), RED), kind)


KINDS: dict[str, tuple[str, list[bytes]]] = {
    "an empty image": ("quarantined image_empty", [b""]),
    "a truncated image": ("quarantined image_truncated", [_half(_bytes(_noise(), "JPEG")), _half(_bytes(_noise(), "PNG"))]),
    "an animated image": ("accepted", [_animated("GIF"), _animated("WEBP")]),
    "a bomb-sized image": ("quarantined image_too_many_pixels", [_bomb()]),
    "a JPEG that is HTML": ("quarantined image_not_an_image", [b"<!doctype html><html><body>404 Not Found</body></html>"]),
}
GOOD = [still("GIF"), still("WEBP")]

import contextlib
import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from karma.vision import MAX_PIXELS, ImageReason, UndecodableImageError, decode_image

RED, BLUE = (255, 0, 0), (0, 0, 255)


def _bytes(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _red_left_blue_right() -> Image.Image:
    picture = Image.new("RGB", (20, 10), RED)
    picture.paste(BLUE, (10, 0, 20, 10))
    return picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_common_formats(kind: str) -> None:
    decoded = decode_image(_bytes(_red_left_blue_right(), kind))

    assert (decoded.mode, decoded.size) == ("RGB", (20, 10))
    assert np.allclose(decoded.getpixel((2, 5)), RED, atol=40)
    assert np.allclose(decoded.getpixel((17, 5)), BLUE, atol=40)


@pytest.mark.parametrize("data", [b"", None])
def test_no_bytes(data: bytes | None) -> None:
    assert _reason(data) == ImageReason.EMPTY


@pytest.mark.parametrize(
    "data",
    [
        b"<html>404</html>",
        b"\x00" * 64,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    ],
)
def test_not_an_image(data: bytes) -> None:
    assert _reason(data) == ImageReason.NOT_AN_IMAGE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_cut_in_half(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    data = _bytes(noise, kind)

    assert _reason(data[: len(data) // 2]) == ImageReason.TRUNCATED


def test_too_many_pixels_is_told_from_the_header() -> None:
    header_only = _bytes(Image.new("1", (10, 10)))
    wide, high = MAX_PIXELS // 1000 + 1, 1000
    size = wide.to_bytes(4, "big") + high.to_bytes(4, "big")
    ihdr = b"IHDR" + size + header_only[24:29]
    bomb = header_only[:12] + ihdr + zlib.crc32(ihdr).to_bytes(4, "big") + header_only[33:]

    assert _reason(bomb) == ImageReason.TOO_MANY_PIXELS


def test_animation_gives_its_first_frame() -> None:
    data = _bytes(Image.new("RGB", (8, 8), RED), "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), BLUE)])

    assert decode_image(data).getpixel((4, 4)) == RED


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn by 90 degrees clockwise

    decoded = decode_image(_bytes(_red_left_blue_right(), "JPEG", exif=exif, quality=95))

    assert decoded.size == (10, 20)
    assert np.allclose(decoded.getpixel((5, 2)), RED, atol=40)
    assert np.allclose(decoded.getpixel((5, 17)), BLUE, atol=40)


def test_transparency_lies_over_white() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30] * 256)

    assert decode_image(_bytes(clear)).getpixel((1, 1)) == (255, 255, 255)
    assert decode_image(_bytes(palette, transparency=0)).getpixel((1, 1)) == (255, 255, 255)
    assert decode_image(_bytes(palette)).getpixel((1, 1)) == (10, 20, 30)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((4, 4), 0x8000, np.uint16))

    assert decode_image(_bytes(grey)).getpixel((0, 0)) == (128, 128, 128)


def test_cmyk_becomes_rgb() -> None:
    decoded = decode_image(_bytes(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))

    assert np.allclose(decoded.getpixel((4, 4)), RED, atol=20)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_give_a_picture_or_a_reason(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]))
    whole = bytearray(_bytes(_red_left_blue_right(), kind))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=6)):
        whole[place] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])

    with contextlib.suppress(UndecodableImageError):
        decoded = decode_image(cut)
        assert decoded.mode == "RGB"
        assert decoded.width * decoded.height <= MAX_PIXELS


def _reason(data: bytes | None) -> ImageReason:
    with pytest.raises(UndecodableImageError) as caught:
        decode_image(data)
    return caught.value.reason

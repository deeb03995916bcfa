"""Pictures: a pattern in the style's colours, the object's outline in front of it, and enough noise to be no icon."""

import io
import math
from collections.abc import Callable
from random import Random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, UnidentifiedImageError

from jobs.sample_world.styles import CATEGORIES, STYLES, Rgb

PALETTE_BINS = 4
_COLOUR_JITTER = 26
_PIXEL_NOISE = 14
_JPEG_QUALITY = 82

Pattern = Callable[[ImageDraw.ImageDraw, int, Rgb, Rgb, Random], None]


def render_image(style: int, category: int, px: int, rng: Random) -> bytes:
    """A JPEG of ``px`` x ``px`` pixels; the same arguments and state of ``rng`` give the same bytes."""
    background, first, second, accent = (_jittered(colour, rng) for colour in STYLES[style].palette)
    image = Image.new("RGB", (px, px), background)
    draw = ImageDraw.Draw(image)
    PATTERNS[STYLES[style].pattern](draw, px, first, second, rng)
    outline = _placed(CATEGORIES[category].outline, px, rng)
    draw.polygon(outline, fill=accent, outline=second)
    return _encoded(_noisy(image, rng))


def read_palette(data: bytes | None) -> npt.NDArray[np.float32] | None:
    """Square roots of the shares of 4 x 4 x 4 colour cells, float32 [64], unit norm; None where there is no readable picture."""
    try:
        with Image.open(io.BytesIO(data or b"")) as image:
            pixels = np.asarray(image.convert("RGB").resize((32, 32)), dtype=np.int64).reshape(-1, 3)
    except (UnidentifiedImageError, OSError):
        return None
    cell = pixels * PALETTE_BINS // 256 @ np.array([PALETTE_BINS**2, PALETTE_BINS, 1])
    shares: npt.NDArray[np.float32] = np.sqrt(np.bincount(cell, minlength=PALETTE_BINS**3) / len(cell)).astype(np.float32)
    return shares


def _jittered(colour: Rgb, rng: Random) -> Rgb:
    red, green, blue = (min(255, max(0, channel + rng.randint(-_COLOUR_JITTER, _COLOUR_JITTER))) for channel in colour)
    return red, green, blue


def _placed(outline: tuple[tuple[float, float], ...], px: int, rng: Random) -> list[tuple[float, float]]:
    """The outline scaled, turned a little and moved, in pixels."""
    scale, angle = rng.uniform(0.45, 0.65) * px, rng.uniform(-0.25, 0.25)
    centre_x, centre_y = px * rng.uniform(0.42, 0.58), px * rng.uniform(0.42, 0.58)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    return [(centre_x + (x - 0.5) * cos - (y - 0.5) * sin, centre_y + (x - 0.5) * sin + (y - 0.5) * cos) for x, y in outline]


def _noisy(image: Image.Image, rng: Random) -> Image.Image:
    pixels = np.asarray(image, dtype=np.int16)
    noise = np.random.default_rng(rng.getrandbits(64)).integers(-_PIXEL_NOISE, _PIXEL_NOISE + 1, pixels.shape, dtype=np.int16)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _step(px: int, parts: float, rng: Random) -> int:
    return max(3, round(px / parts * rng.uniform(0.8, 1.25)))


def _plain(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    edge = px * rng.uniform(0.65, 0.85)
    draw.rectangle((0, edge, px, px), fill=first)
    draw.line((0, edge, px, edge), fill=second, width=max(1, px // 48))


def _diamonds(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    step = _step(px, 5, rng)
    for row, y in enumerate(range(0, px + step, step)):
        for x in range(-(row % 2) * step // 2, px + step, step):
            half = step * 0.45
            draw.polygon(((x, y - half), (x + half, y), (x, y + half), (x - half, y)), fill=first if row % 2 else second)


def _waves(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    step, phase = _step(px, 6, rng), rng.uniform(0, 6.28)
    for row, y in enumerate(range(0, px + step, step)):
        points = [(x, y + step * 0.35 * math.sin(phase + row + x * 9.4 / px)) for x in range(0, px + 4, 4)]
        draw.line(points, fill=second if row % 2 else first, width=max(2, step // 2))


def _zigzag(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    step = _step(px, 6, rng)
    for row, y in enumerate(range(0, px + step, step)):
        points = [(x * step / 2, y + (x % 2) * step * 0.6) for x in range(2 * px // step + 2)]
        draw.line(points, fill=second if row % 2 else first, width=max(2, step // 3))


def _grid(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    step, rivet = _step(px, 4, rng), max(1, px // 32)
    for at in range(step // 2, px, step):
        draw.line((at, 0, at, px), fill=first, width=max(2, px // 24))
        draw.line((0, at, px, at), fill=first, width=max(2, px // 24))
    for x in range(step // 2, px, step):
        for y in range(step // 2, px, step):
            draw.ellipse((x - rivet, y - rivet, x + rivet, y + rivet), fill=second)


def _flowers(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    petal = max(2, px // 22)
    for _ in range(16):
        x, y = rng.uniform(0, px), rng.uniform(0, px)
        for turn in range(5):
            at_x, at_y = x + 1.3 * petal * math.cos(turn * 1.257), y + 1.3 * petal * math.sin(turn * 1.257)
            draw.ellipse((at_x - petal, at_y - petal, at_x + petal, at_y + petal), fill=first)
        draw.ellipse((x - petal, y - petal, x + petal, y + petal), fill=second)


def _scanlines(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    for y in range(rng.randint(0, 3), px, max(3, px // 14)):
        start = rng.uniform(-0.3, 0.7) * px
        draw.line((start, y, start + rng.uniform(0.3, 0.9) * px, y), fill=rng.choice((first, second)), width=max(1, px // 40))


def _rays(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    centre, turn = (px * rng.uniform(0.35, 0.65), px * rng.uniform(0.85, 1.05)), rng.uniform(0, 0.3)
    for ray in range(12):
        angle = math.pi * (1 + (ray + turn) / 12)
        tips = [(centre[0] + 2 * px * math.cos(angle + side), centre[1] + 2 * px * math.sin(angle + side)) for side in (-0.06, 0.06)]
        draw.polygon((centre, *tips), fill=second if ray % 2 else first)


def _dots(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    step = _step(px, 5, rng)
    for row, y in enumerate(range(0, px + step, step)):
        for x in range((row % 2) * step // 2, px + step, step):
            radius = step * 0.3
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=second if row % 2 else first)


def _stripes(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    step = _step(px, 6, rng)
    for row, y in enumerate(range(rng.randint(0, step), px, step)):
        draw.rectangle((0, y, px, y + step // 2), fill=second if row % 2 else first)


def _rings(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    x, y = px * rng.uniform(0.2, 0.8), px * rng.uniform(0.2, 0.8)
    for ring, radius in enumerate(range(_step(px, 9, rng), px, _step(px, 8, rng))):
        colour = second if ring % 2 else first
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=max(2, px // 40))


def _checks(draw: ImageDraw.ImageDraw, px: int, first: Rgb, second: Rgb, rng: Random) -> None:
    step = _step(px, 5, rng)
    for row, y in enumerate(range(0, px, step)):
        for column, x in enumerate(range(0, px, step)):
            if (row + column) % 2:
                draw.rectangle((x, y, x + step - 1, y + step - 1), fill=second if row % 2 else first)


PATTERNS: dict[str, Pattern] = {
    "plain": _plain,
    "diamonds": _diamonds,
    "waves": _waves,
    "zigzag": _zigzag,
    "grid": _grid,
    "flowers": _flowers,
    "scanlines": _scanlines,
    "rays": _rays,
    "dots": _dots,
    "stripes": _stripes,
    "rings": _rings,
    "checks": _checks,
}

"""The contact sheet of a sweep: every run's picture, small, with the values that made it written under it."""

import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from nstlab import images
from nstlab.errors import ImageError
from nstlab.files import atomic_write

SIDE, GAP, TYPE, COLUMNS = 240, 14, 16, 8  # pixels, but the last: tiles in a row, at most


def contact_sheet(tiles: list[tuple[Path | None, str, str]], columns: int, path: Path) -> Path:
    """Write a sheet of (picture or None, label, text instead of a picture), `columns` in a row if so many fit."""
    columns = max(1, min(columns, COLUMNS, len(tiles)))
    font = _font(TYPE)
    pictures = [_thumbnail(picture, instead, font) for picture, _, instead in tiles]
    labels = [_wrapped(label, font) for _, label, _ in tiles]
    rows = [range(start, min(start + columns, len(tiles))) for start in range(0, len(tiles), columns)]
    line = TYPE + 5
    heights = [max(pictures[i].height for i in row) + line * max(len(labels[i]) for i in row) + 8 + GAP for row in rows]
    sheet = Image.new("RGB", (columns * (SIDE + GAP) + GAP, sum(heights) + GAP), "white")
    draw, top = ImageDraw.Draw(sheet), GAP
    for row, height in zip(rows, heights, strict=True):
        tallest = max(pictures[i].height for i in row)
        for column, i in enumerate(row):
            left = GAP + column * (SIDE + GAP)
            sheet.paste(pictures[i], (left + (SIDE - pictures[i].width) // 2, top + tallest - pictures[i].height))
            for number, text in enumerate(labels[i]):
                middle = left + (SIDE - font.getlength(text)) / 2
                draw.text((middle, top + tallest + 6 + number * line), text, "black", font=font)
        top += height
    with atomic_write(path) as temporary:
        sheet.save(temporary, "PNG", optimize=True)
    return path


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib, so that labels look alike everywhere."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)


def _thumbnail(path: Path | None, instead: str, font) -> Image.Image:
    try:
        if path is not None:
            return images.to_pil(images.load(path, SIDE))
    except ImageError:
        instead = "a picture that cannot be read"  # a notebook of the user's may save anything
    tile = Image.new("RGB", (SIDE, SIDE), "#e4e4e4")
    lines = [part for line in instead.splitlines() for part in _wrapped(line, font, SIDE - 24)][:8]
    ImageDraw.Draw(tile).multiline_text((12, 12), "\n".join(lines), "black", font=font, spacing=5)
    return tile


def _wrapped(text: str, font, width: int = SIDE) -> list[str]:
    """The text in lines no wider than `width` pixels; of a path that does not fit, its end is what tells."""
    letters = max(8, int(width / font.getlength("n")))
    return [part for line in text.splitlines() for part in textwrap.wrap(line, letters) or [""]]

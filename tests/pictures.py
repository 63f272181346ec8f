"""Pictures as a robot's camera makes them."""

from __future__ import annotations

from io import BytesIO

from PIL import Image


def picture(color: str = "red", size: tuple[int, int] = (160, 120), kind: str = "JPEG") -> bytes:
    """A picture of one colour, with a dark corner."""
    image = Image.new("RGB", size, color)
    image.paste("black", (0, 0, size[0] // 4, size[1] // 3))
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()

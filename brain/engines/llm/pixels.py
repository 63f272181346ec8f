"""A picture of a message, unpacked."""

from __future__ import annotations

import io

from PIL import Image

from brain.engines.ports import EngineFailed


def unpacked(picture: bytes) -> Image.Image:
    """`picture`, a JPEG or PNG, in RGB. Raises `EngineFailed`."""
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG", "PNG")) as image:
            colors: Image.Image = image.convert("RGB")
    except Exception as error:
        raise EngineFailed(f"The picture can't be read: {error}.") from error
    return colors

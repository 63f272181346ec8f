"""Camera pictures that fit the wire, and camera frames that people see in their colours."""

from __future__ import annotations

import base64
import binascii
import io
import logging
from typing import Any

from numpy.typing import NDArray

log = logging.getLogger(__name__)

MAX_BASE64 = 700_000  # characters; the wire's limit of 1 MiB is for the whole message
MAX_SIDE = 1024  # pixels; local vision models see less than that


def fit(picture: str) -> str:
    """A base64 JPEG or PNG, made smaller if it would not fit one message.

    Raises `ValueError` for what isn't a picture.
    """
    if len(picture) <= MAX_BASE64:
        return picture
    from PIL import Image, UnidentifiedImageError  # comes with the extra `reachy`

    try:
        image = Image.open(io.BytesIO(base64.b64decode(picture)))
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=85)
    except (binascii.Error, UnidentifiedImageError, OSError) as error:
        raise ValueError(f"the camera's picture can't be read: {error}") from error
    log.info("a camera picture of %d kB was sent as %d kB", len(picture) >> 10, out.tell() >> 10)
    return base64.b64encode(out.getvalue()).decode("ascii")


def latest_frame(camera_worker: Any) -> NDArray[Any] | None:
    """The camera's latest frame as RGB, (height, width, 3) uint8; None if there is none.

    OpenCV's frames, which the worker keeps, are BGR.
    """
    frame = None if camera_worker is None else camera_worker.get_latest_frame()
    return None if frame is None else frame[..., ::-1]

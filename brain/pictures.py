"""Pictures of a robot's camera, checked and made small: Pillow in, JPEG out."""

from __future__ import annotations

import io

MAX_PIXELS = 16_000_000
"""Of what is unpacked at all: a small file may hold a picture that fills the memory."""
MIN_EDGE = 16
MAX_RATIO = 10
"""Of the edges: encoders of models cut a picture into squares, and some can't of a strip."""
MAX_PASSES = 30
"""Of a JPEG: its file may go over all its pixels as often as it likes, for a few bytes each time.
A progressive one as cameras and tools write it has about ten."""
_QUALITY = 85
_JPEG = b"\xff\xd8"
_START_OF_SCAN = b"\xff\xda"
_TOO_MANY_PIXELS = f"a picture has at most {MAX_PIXELS // 1_000_000} megapixels"


class BadPicture(ValueError):
    """No picture that can be taken; the message is a sentence that says why."""


def fitted(data: bytes, max_edge: int) -> bytes:
    """`data`, a JPEG or PNG file, as a JPEG whose longer edge has at most `max_edge` pixels.

    It is turned upright, and nothing is kept of what else was in the file. Takes up to some 100 ms,
    so: on a thread. Raises `BadPicture`.
    """
    from PIL import Image, ImageOps

    try:
        if data.startswith(_JPEG) and data.count(_START_OF_SCAN) > MAX_PASSES:
            raise BadPicture(f"a JPEG has at most {MAX_PASSES} passes; save it as a plain one")
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadPicture(_TOO_MANY_PIXELS)
            if min(width, height) < MIN_EDGE or max(width, height) > MAX_RATIO * min(width, height):
                raise BadPicture(
                    f"a picture has edges of at least {MIN_EDGE} pixels, one at most {MAX_RATIO} "
                    f"times the other; this one has {width} x {height}"
                )
            image.draft("RGB", (max_edge, max_edge))  # a JPEG is unpacked no larger than needed
            upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
            upright = upright.convert("I").point(lambda shade: shade * (1 / 256))
        upright = upright.convert("RGB")
        upright.thumbnail((max_edge, max_edge), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        upright.save(out, "JPEG", quality=_QUALITY)
    except BadPicture:
        raise
    except Image.DecompressionBombError as error:
        raise BadPicture(_TOO_MANY_PIXELS) from error
    except Exception as error:
        raise BadPicture("that is no JPEG or PNG that can be read") from error
    return out.getvalue()

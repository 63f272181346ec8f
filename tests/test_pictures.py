"""What becomes of a file that a robot says is a picture."""

from __future__ import annotations

import contextlib
import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from brain.pictures import BadPicture, fitted
from tests.pictures import picture


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is so large, of a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("size", "small"),
    [((1280, 720), (320, 180)), ((720, 1280), (180, 320)), ((200, 100), (200, 100))],
)
def test_it_is_a_jpeg_whose_longer_edge_fits(
    kind: str, size: tuple[int, int], small: tuple[int, int]
) -> None:
    image = opened(fitted(picture("red", size, kind), 320))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", small)
    red, green, blue = image.getpixel((small[0] - 5, small[1] - 5))  # type: ignore[misc]
    assert red > 200 > 60 > max(green, blue)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_any_kind_of_pixels_is_taken(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = Image.new("L", (64, 48), 200).convert(mode) if mode != "I;16" else None
    data = saved(image or Image.new("I;16", (64, 48), 40_000), kind)
    assert opened(fitted(data, 640)).size == (64, 48)


def test_a_depth_camera_s_16_bits_are_seen_in_all_their_shades() -> None:
    depths = Image.linear_gradient("L").convert("I").point(lambda shade: shade * 257)
    seen = opened(fitted(saved(depths.convert("I;16"), "PNG"), 640)).convert("L")
    for y in (0, 64, 128, 192, 255):
        assert abs(seen.getpixel((100, y)) - y) < 8  # type: ignore[operator]


def test_a_jpeg_of_many_passes_is_refused_before_it_costs_minutes() -> None:
    """Each pass of a progressive JPEG goes over all of it, and may take a few bytes of the file."""
    whole = saved(Image.new("L", (640, 480), 128), "JPEG", progressive=True)
    again = whole[whole.rindex(b"\xff\xda") : -2]
    assert opened(fitted(whole, 640)).size == (640, 480)
    with pytest.raises(BadPicture, match="passes"):
        fitted(whole[:-2] + again * 20_000 + whole[-2:], 640)


def test_it_stands_upright_and_tells_nothing_of_where_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    exif[0x010E] = "at home"
    image = opened(fitted(saved(Image.new("RGB", (64, 32)), "JPEG", exif=exif), 640))
    assert image.size == (32, 64)
    assert not image.getexif()


def test_the_same_file_gives_the_same_bytes() -> None:
    assert fitted(picture(), 100) == fitted(picture(), 100)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no JPEG or PNG"),
        (b"\xff\xd8\xff garbage", "no JPEG or PNG"),
        (picture("red", (640, 480))[:2000], "no JPEG or PNG"),
        (saved(Image.new("RGB", (64, 64)), "GIF"), "no JPEG or PNG"),
        (saved(Image.new("RGB", (64, 64)), "BMP"), "no JPEG or PNG"),
        (png_of(30_000, 30_000), "megapixels"),
        (png_of(5_000, 5_000), "megapixels"),
        (png_of(2**31 - 1, 2**31 - 1), "no JPEG or PNG|megapixels"),
        (picture("red", (8, 8)), "at least 16 pixels"),
        (picture("red", (1000, 50)), "at most 10 times"),
    ],
)
def test_what_can_not_be_taken_is_told(data: bytes, told: str) -> None:
    with pytest.raises(BadPicture, match=told):
        fitted(data, 640)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_damaged_file_is_taken_or_told(data: st.DataObject) -> None:
    file = bytearray(picture("red", (48, 32), data.draw(st.sampled_from(["JPEG", "PNG"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadPicture):
        assert opened(fitted(bytes(file), 640)).format == "JPEG"

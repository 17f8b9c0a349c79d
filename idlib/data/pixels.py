"""Images of files as models take them: eight bits of red, green and blue, whatever a file holds."""

from __future__ import annotations

import numpy as np
from PIL import Image

NOTES = {  # what a user may not expect of an image, by name
    "16 bits": "have 16 bits, of which the upper eight count (white is 65,535)",
    "transparent": "are partly transparent, which is left out: the colours beneath count",
}
"""What is said of images by note."""


class UnknownRange(ValueError):
    """An image whose values do not say what is black and what is white."""


def rgb(image: Image.Image) -> Image.Image:
    """An image as RGB.

    Of 16-bit grey values the upper eight bits count, as Pillow takes those of 16-bit colour
    (converting them itself it would clip at 255). Transparency is left out, as torchvision's
    folders of images do. All other modes are Pillow's own conversion.

    Raises:
        UnknownRange: floating-point or 32-bit values.

    >>> grey = Image.fromarray(np.array([[0, 255, 32768, 65535]], np.uint16))
    >>> np.asarray(rgb(grey))[0, :, 0].tolist()
    [0, 0, 128, 255]
    """
    if _has_16_bits(image):
        upper = np.asarray(image).astype(np.int64) >> 8
        image = Image.fromarray(upper.astype(np.uint8))
    if image.mode in ("F", "I"):
        kind = "floating-point" if image.mode == "F" else "32-bit"
        raise UnknownRange(
            f"has {kind} values, of which nothing says what is black and what is white: save it "
            "with 8 bits a channel, or as grey of 16 bits"
        )
    if image.mode == "P" and "transparency" in image.info:  # else Pillow warns of each
        image = image.convert("RGBA")
    return image.convert("RGB")


def note(image: Image.Image) -> str:
    """The name in ``NOTES`` of what is unusual about an image that :func:`rgb` takes, or ``""``."""
    if _has_16_bits(image):
        return "16 bits"
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        lowest, _ = image.convert("RGBA").getextrema()[-1]
        return "transparent" if lowest < 255 else ""
    return ""


def _has_16_bits(image: Image.Image) -> bool:
    # Older versions of Pillow open 16-bit PNG with mode I, and all do so with PGM.
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))

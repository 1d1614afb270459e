"""Cheap detection of pictures that show something else than the one before."""

from __future__ import annotations

import io
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from fishjam_agents.errors import MissingExtraError

_SIZE = 32
"""Pixels of a thumbnail's sides: small things and the camera's noise are gone, a person who moves is not."""
_PIXELS = 3840 * 2160
"""Of a picture that is decoded, as a JPEG is at an eighth of its size: others play audio meanwhile."""


class UnreadablePictureError(ValueError):
    """The bytes are no picture."""


def need_pillow() -> None:
    """Make sure pictures can be opened.

    Raises:
        MissingExtraError: They cannot.
    """
    if find_spec("PIL") is None:
        raise MissingExtraError("comparing pictures (vision.capture: change)", "vision")


class Difference:
    """Compares pictures of one track with the last one that was sent.

    Args:
        threshold: The mean difference of grey values, 0 to 1, from which a picture is another one.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._sent: npt.NDArray[np.int16] | None = None

    def is_new(self, data: bytes) -> bool:
        """Return whether an encoded picture differs; then it counts as sent.

        Raises:
            UnreadablePictureError: It is no picture.
        """
        seen = _thumbnail(data)
        if self._sent is not None and float(np.abs(seen - self._sent).mean()) / 255 < self._threshold:
            return False
        self._sent = seen
        return True


def _thumbnail(data: bytes) -> npt.NDArray[np.int16]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            # A JPEG is decoded at an eighth of its size, from the mean of each block, where that is enough.
            picture.draft("L", (_SIZE, _SIZE))
            if picture.width * picture.height > _PIXELS:
                raise UnreadablePictureError(f"it has {picture.width} by {picture.height} pixels")
            small = picture.convert("L").resize((_SIZE, _SIZE), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadablePictureError(str(error)) from error
    return np.asarray(small, np.int16)

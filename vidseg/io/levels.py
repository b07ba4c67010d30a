"""Which values are black and white in an image of more than 8 bits a colour.

Cameras of 10, 12 and 14 bits, thermal cameras and microscopes write files that use a small part of what they can hold.
Scaled as a whole, such images are nearly black, nearly white, or have a handful of greys.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WHOLE_RANGE = {"uint16": (0, 65535), "int16": (-32768, 32767), "float32": (0, 1), "float64": (0, 1)}
SHARE = 0.5  # an image that uses less of the whole range is spread over 0..255
MARGIN = 0.1  # what floating point images may have beyond 0..1, as resampling leaves it
PERCENTILES = 0.1, 99.9  # of the pixels: a few that are stuck or glaring do not count
SAMPLE_PIXELS = 1 << 18  # of an image


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The values that are shown as 0 and 255.

    Attributes:
        dtype: of the images that they are for.
        black: is shown as 0, and so is what is lower.
        white: is shown as 255, and so is what is higher.
        measured: whether they were measured, because the images do not use the whole range of their type.
    """

    dtype: str
    black: float
    white: float
    measured: bool

    def scale(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels as uint8, in their shape. What is not a number is black."""
        import numpy as np

        if pixels.dtype.kind in "iu":  # by a table, which is many times as fast
            lowest, highest = map(int, WHOLE_RANGE[self.dtype])
            table = self._scale(np.arange(lowest, highest + 1, dtype=np.float32))
            return table[pixels if lowest == 0 else pixels.astype(np.int32) - lowest]
        return self._scale(np.nan_to_num(pixels, nan=self.black))

    def _scale(self, values: np.ndarray) -> np.ndarray:
        import numpy as np

        steps = (values.clip(self.black, self.white) - self.black) * (255 / (self.white - self.black))
        return steps.round().astype(np.uint8)

    @property
    def note(self) -> str | None:
        """None, or the part of a warning that says which values were measured."""
        return f"values from {self.black:g} to {self.white:g} are shown as 0 to 255" if self.measured else None


def levels_of(samples: Iterable[np.ndarray], dtype: str) -> Levels:
    """Choose the levels of images, from some of their values.

    Args:
        samples: of each image, as `sample` takes them.
        dtype: of all of them, one of WHOLE_RANGE.

    Returns:
        The whole range of the type where the images use it, or are of one value; else their own.
    """
    import numpy as np

    lowest, highest = WHOLE_RANGE[dtype]
    whole = Levels(dtype=dtype, black=lowest, white=highest, measured=False)
    values = np.concatenate([np.empty(0), *samples])
    if not values.size:
        return whole
    black, white = np.percentile(values, PERCENTILES).tolist()
    if black == white:  # all that differs is small
        black, white = values.min().item(), values.max().item()
    margin = MARGIN if dtype.startswith("float") else 0
    fits = lowest - margin <= black and white <= highest + margin
    if black == white or (fits and white - black >= SHARE * (highest - lowest)):
        return whole
    return Levels(dtype=dtype, black=black, white=white, measured=True)


def sample(pixels: np.ndarray) -> np.ndarray:
    """Values of an H×W, H×W×3 or H×W×4 image, from pixels spread over it that are numbers and not transparent."""
    import numpy as np

    flat = pixels.reshape(pixels.shape[0] * pixels.shape[1], -1)
    flat = flat[:: max(1, len(flat) // SAMPLE_PIXELS)]
    if flat.shape[1] == 4:
        flat = flat[flat[:, 3] > 0, :3]
    values = flat.ravel().astype(np.float64)
    return values[np.isfinite(values)]

"""From PyAV's frames to upright RGB images with the colours that a screen would show.

`docs/video.md` says what is done and why. An ordinary frame costs one conversion and a few comparisons.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from vidseg.errors import InputError
from vidseg.io.cropping import Crop
from vidseg.io.decoding import scaler

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame

WHOLE = Crop()
# Numbers of ITU-T H.273, as FFmpeg has them
BT709, BT601, BT2020, UNKNOWN, RESERVED = 1, 5, 9, 2, 3  # matrix and primaries; libswscale counts these alike
PQ, HLG = 16, 18  # transfer curves of HDR
# Bilinear, colour at full width: else libswscale's short cut makes 10 bit video almost two levels too dark
EXACT = 2 | 0x2000
HD = 1280, 577  # pixels; where a file does not name its matrix, players take BT.709 for what is that wide or high


def upright(frame: VideoFrame, width: int, height: int, path: str, crop: Crop = WHOLE) -> np.ndarray:
    """Make an image of a PyAV frame.

    HDR is mapped to the range of an ordinary screen, and transparency is shown over white.

    Args:
        frame: as it is decoded.
        width: pixels that it is scaled to, before it is cropped and turned upright.
        height: the same.
        path: the clip, for messages.
        crop: what is cut off before it is turned upright.

    Returns:
        H×W×3 uint8 RGB, upright.

    Raises:
        InputError: if the colours are coded in a way that cannot be shown.
    """
    import av
    import numpy as np
    from av.error import FFmpegError

    form, hdr = layout(frame.format.name), frame.color_trc in (PQ, HLG)
    if hdr and int(av.__version__.split(".")[0]) < 18:  # it would take the numbers for those of ordinary video
        raise InputError(
            f"{path}: HDR video needs PyAV 18 or later, which needs Python 3.11; or convert it to BT.709 first"
        )
    convert = from_hdr if hdr else scaler().reformat
    try:
        # Rescales if a stream changes size midway
        image = convert(frame, width, height, "rgba" if form.alpha else "rgb24", **conversion(frame, form)).to_ndarray()
    except (FFmpegError, OSError) as error:
        raise InputError(
            f"{path}: its colours (H.273 matrix {frame.colorspace}) cannot be shown; convert it to BT.709 first"
        ) from error
    if form.alpha:
        image = over_white(image)
    turn = orientation(frame)
    if crop != WHOLE:
        image = np.ascontiguousarray(image[crop.top : height - crop.bottom, crop.left : width - crop.right])
    if not any(turn):
        return image
    image = image.transpose(1, 0, 2) if turn.transposed else image
    return np.ascontiguousarray(image[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1])


def conversion(frame: VideoFrame, form: Layout) -> dict[str, int]:
    """What the converter must be told, beyond what the frame says itself: arguments of `reformat`."""
    told = {"interpolation": EXACT} if form.deep else {}
    if frame.colorspace in (UNKNOWN, RESERVED) and not form.rgb:
        high = frame.width >= HD[0] or frame.height >= HD[1]
        told["src_colorspace"] = BT2020 if frame.color_trc in (PQ, HLG) else BT709 if high else BT601
    return told


def from_hdr(frame: VideoFrame, width: int, height: int, form: str, **told: int) -> VideoFrame:
    """The frame as 8 bit RGB for an ordinary screen.

    It takes two steps, because libswscale converts light without fault only from planar RGB. The second one makes a
    table first, which takes a second or two.
    """
    deep = scaler().reformat(
        frame, width, height, "gbrap16le" if form == "rgba" else "gbrp16le", **told | {"interpolation": EXACT}
    )
    if deep.color_primaries in (UNKNOWN, RESERVED):
        deep.color_primaries = BT2020
    # The curve of HLG is made to look right on ordinary screens as well
    return scaler("hdr").reformat(deep, format=form, dst_color_trc=HLG, dst_color_primaries=BT709)


class Orientation(NamedTuple):
    """How a stored picture becomes upright: rows and columns are swapped, and after that it is flipped."""

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False


def orientation(frame: VideoFrame) -> Orientation:
    """What the display matrix of a PyAV frame asks for: quarter turns and mirror images."""
    import numpy as np
    from av.sidedata.sidedata import SideDataContainer

    # Not `frame.side_data`: frame and container would keep each other alive until the garbage collector comes by, and
    # in a long clip frames would pile up by the hundred
    matrix = SideDataContainer(frame).get("DISPLAYMATRIX")  # pyright: ignore[reportCallIssue] - the stub lacks __init__
    if matrix is None:
        return Orientation()
    # x' = a·x + c·y, y' = b·x + d·y, with the signs of a quarter turn or a mirror image
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    return Orientation(False, a < 0, d < 0) if abs(a) >= abs(b) else Orientation(True, c < 0, b < 0)


class Layout(NamedTuple):
    """What there is to know of a pixel format.

    Attributes:
        alpha: whether images may be transparent.
        deep: whether there are more than 8 bits a colour.
        rgb: whether it is RGB.
    """

    alpha: bool
    deep: bool
    rgb: bool


@lru_cache
def layout(name: str) -> Layout:
    """Look up a pixel format by FFmpeg's name for it."""
    from av.video.format import VideoFormat

    form = VideoFormat(name)
    return Layout(any(c.is_alpha for c in form.components), form.components[0].bits > 8, form.is_rgb)


def over_white(image: np.ndarray) -> np.ndarray:
    """H×W×4 uint8 RGBA as H×W×3 uint8 RGB, as if it lay on white paper."""
    import numpy as np

    alpha = image[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(image[..., :3])
    alpha = alpha.astype(np.uint16)
    return ((image[..., :3] * alpha + (255 - alpha) * 255 + 127) // 255).astype(np.uint8)

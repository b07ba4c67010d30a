"""What `vidseg render` can be asked for, and what goes together. Costs nothing to import."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vidseg.errors import OutputError
from vidseg.io.codecs import CODECS, VIDEO_FORMATS, WITH_ALPHA, Codec, codec_for
from vidseg.io.files import check_writable

KINDS = ("overlay", "cutout", "matte", "sheet")
STYLES = (
    "blur-background",
    "spotlight",
    "halo",
    "pixelate",
    "mask",
    "contour",
    "box",
    "trail",
    "label",
)  # the order they are drawn in
DEFAULT = ("mask", "contour", "label")
LARGEST = 16384  # pixels along a side


@dataclass(frozen=True)
class Look:
    """One picture's kind and how it is drawn; made by `look_for`, which checks it."""

    kind: str  # of KINDS
    styles: frozenset[str]  # of STYLES
    only: frozenset[tuple[str, str]]  # ("label", name) or ("id", number); empty: all objects
    color_by: str  # "id" or "label"
    opacity: float | None  # 0–1; None: the usual one
    background: str | os.PathLike | None
    frame: int | None  # a still of this frame
    side_by_side: bool
    height: int | None  # pixels of the drawing, one of the two at most
    width: int | None
    codec: Codec | None  # None for what is not a video
    crf: int | None

    def keeps(self, label: str, object_id: int) -> bool:
        """Whether this object is one of those to show."""
        return not self.only or ("label", label) in self.only or ("id", str(object_id)) in self.only


def look_for(
    output: str | os.PathLike,
    *,
    kind: str = "overlay",
    style: str | Iterable[str] | None = None,
    only: str | Iterable[str] = (),
    color_by: str = "id",
    opacity: float | None = None,
    background: str | os.PathLike | None = None,
    frame: int | None = None,
    side_by_side: bool = False,
    height: int | None = None,
    width: int | None = None,
    codec: str | None = None,
    crf: int | None = None,
) -> Look:
    """The checked choices of `vidseg.render`, whose docstring explains them. ValueError if they do not go together."""
    suffix = Path(output).suffix.lower()
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r}; choose {', '.join(KINDS)}")
    if kind != "overlay":
        for name, given in {
            "style": style,
            "opacity": opacity,
            "background": background,
            "side by side": side_by_side,
        }.items():
            if given is not None and given is not False:  # an opacity of 0 is given, too
                raise ValueError(f"{name} is for overlays, not for a {kind}")
    if kind == "sheet" and (frame, height, width) != (None, None, None):
        raise ValueError("a sheet has a size of its own, and shows several frames; leave out frame, height and width")
    if style is None:  # on another background the objects are shown as they are
        styles = frozenset(DEFAULT if background is None else ())
    else:
        styles = frozenset(name.strip() for name in (style.split(",") if isinstance(style, str) else style))
    if unknown := sorted(styles - set(STYLES)):
        raise ValueError(f"there is no style {unknown[0]!r}; choose from {', '.join(STYLES)}")
    if background is not None and styles & {"blur-background", "spotlight"}:
        raise ValueError(
            "blur-background and spotlight are for the clip's own background; leave out background, or them"
        )
    if opacity is not None and ("mask" not in styles or not 0 <= opacity <= 1):
        raise ValueError("opacity is a number from 0 to 1, and for the style mask")
    if color_by not in ("id", "label"):
        raise ValueError(f"objects are coloured by id or by label, not by {color_by!r}")
    if frame is not None and frame < 0:
        raise ValueError(f"there is no frame {frame}; frames are counted from 0")
    if height is not None and width is not None:
        raise ValueError("give height or width: the other follows")
    if not all(side is None or 16 <= side <= LARGEST for side in (height, width)):
        raise ValueError(f"height and width are from 16 to {LARGEST} pixels")
    return Look(
        kind,
        styles,
        frozenset(_chosen((only,) if isinstance(only, str) else only)),
        color_by,
        opacity,
        background,
        frame,
        side_by_side,
        height,
        width,
        _codec(kind, suffix, still=frame is not None or kind == "sheet", name=codec, crf=crf),
        crf,
    )


def check_output(path: str | os.PathLike, look: Look, overwrite: bool, clip: str | os.PathLike) -> Path:
    """`check_writable` for what is asked for: also raises OutputError for a name with another suffix."""
    path = check_writable(path, overwrite, clip)
    if look.frame is not None:
        what, suffixes = "stills are", (".png",)
    elif look.kind == "sheet":
        what, suffixes = "a sheet is", (".png",)
    elif look.kind == "cutout":
        what, suffixes = "a cutout is", tuple(WITH_ALPHA)
    else:
        what, suffixes = "videos are", (*VIDEO_FORMATS, ".gif") if look.kind == "overlay" else tuple(VIDEO_FORMATS)
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"{path}: {what} written as {' '.join(suffixes)}; choose one of these names")
    return path


def _chosen(only: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in only:
        key, _, value = (part.strip() for part in text.partition("="))
        if key not in ("label", "id") or not value or (key == "id" and not value.isdecimal()):
            raise ValueError(f"{text!r} chooses no objects; write label=NAME or id=NUMBER")
        yield key, str(int(value)) if key == "id" else value


def _codec(kind: str, suffix: str, still: bool, name: str | None, crf: int | None) -> Codec | None:
    """The codec to write a file with; None if it is no video, or if its suffix is for `check_output` to refuse."""
    if name is not None and name not in CODECS:
        raise ValueError(f"there is no codec {name!r}; choose {', '.join(CODECS)}")
    if name is not None and kind == "cutout" and not still:
        raise ValueError("a cutout's codec goes by its name: ProRes 4444 in .mov, VP9 in .webm; leave out codec")
    if still or suffix not in VIDEO_FORMATS:
        if name is not None or crf is not None:
            raise ValueError("codec and crf are for videos: .mp4 .mkv .mov .webm")
        return None
    codec = WITH_ALPHA.get(suffix) if kind == "cutout" else codec_for(suffix, name)
    if codec is None:
        return None
    if crf is not None and codec.crf is None:
        raise ValueError("ProRes has no crf: it is always of high quality")
    if crf is not None and not 0 <= crf <= codec.worst:
        raise ValueError(f"crf is from 0 (best) to {codec.worst} here")
    return codec

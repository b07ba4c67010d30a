"""What `vidseg.render` can be asked for, and which choices go together. Importing this module costs nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vidseg.errors import OutputError
from vidseg.io.codecs import CODECS, VIDEO_FORMATS, WITH_ALPHA, Codec, codec_for
from vidseg.io.files import check_writable

KINDS = ("overlay", "cutout", "matte", "sheet")
STYLES = (  # in the order that they are drawn
    "blur-background",
    "spotlight",
    "halo",
    "pixelate",
    "mask",
    "contour",
    "box",
    "trail",
    "label",
)
DEFAULT_STYLES = ("mask", "contour", "label")
SMALLEST, LARGEST = 16, 16384  # pixels along a side


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """One picture's or video's kind, and how it is drawn. The choices are checked as it is made.

    Attributes:
        suffix: of the file to write: ".mp4", ".png", …
        kind: of KINDS.
        style: some of STYLES, as names or as one text with commas. None: DEFAULT_STYLES, and none with a background.
        only: "label=NAME" and "id=NUMBER": objects that are any of these, and no others. Empty: all objects.
        color_by: "id", or "label" for one colour each label.
        opacity: 0-1, of the style mask; None: the usual one.
        background: image file or colour in place of what is behind the objects; None: the clip's own.
        frame: number of the one frame to draw, as a still; None: all of them.
        side_by_side: whether the clip's own picture is at the left of what is drawn.
        height: pixels of the drawing; None: follows from the width, or is the clip's.
        width: the same.
        codec: of CODECS; None: the usual one.
        crf: quality of the encoding, the lower the better; None: the usual one.

    Raises:
        ValueError: for choices that do not exist or do not go together.
    """

    suffix: str
    kind: str = "overlay"
    style: str | Iterable[str] | None = None
    only: str | Iterable[str] = ()
    color_by: str = "id"
    opacity: float | None = None
    background: str | os.PathLike[str] | None = None
    frame: int | None = None
    side_by_side: bool = False
    height: int | None = None
    width: int | None = None
    codec: str | None = None
    crf: int | None = None

    def __post_init__(self) -> None:
        self._check_kind()
        self._check_styles()
        if self.color_by not in ("id", "label"):
            raise ValueError(f"objects are coloured by id or by label, not by {self.color_by!r}")
        if self.frame is not None and self.frame < 0:
            raise ValueError(f"there is no frame {self.frame}; frames are counted from 0")
        self._check_size()
        _ = self.selection, self.encoding  # both raise ValueError

    @cached_property
    def styles(self) -> frozenset[str]:
        """The styles to draw. On another background, objects are shown as they are unless a style is given."""
        if self.style is None:
            return frozenset(DEFAULT_STYLES if self.background is None else ())
        names = self.style.split(",") if isinstance(self.style, str) else self.style
        return frozenset(name.strip() for name in names)

    @cached_property
    def selection(self) -> frozenset[tuple[str, str]]:
        """The objects to show, as ("label", name) or ("id", number); empty: all objects."""
        return frozenset(map(_selector, (self.only,) if isinstance(self.only, str) else self.only))

    @cached_property
    def encoding(self) -> Codec | None:
        """The codec to write a video with; None if it is not a video, or if `check_output` refuses its suffix."""
        name, crf, suffix = self.codec, self.crf, self.suffix.lower()
        still = self.frame is not None or self.kind == "sheet"
        if name is not None and name not in CODECS:
            raise ValueError(f"there is no codec {name!r}; choose {', '.join(CODECS)}")
        if name is not None and self.kind == "cutout" and not still:
            raise ValueError("a cutout's codec goes by its name: ProRes 4444 in .mov, VP9 in .webm; leave out codec")
        if still or suffix not in VIDEO_FORMATS:
            if name is not None or crf is not None:
                raise ValueError("codec and crf are for videos: .mp4 .mkv .mov .webm")
            return None
        codec = WITH_ALPHA.get(suffix) if self.kind == "cutout" else codec_for(suffix, name)
        if codec is None or crf is None:
            return codec
        if codec.crf is None:
            raise ValueError("ProRes has no crf: it is always of high quality")
        if not 0 <= crf <= codec.worst:
            raise ValueError(f"crf is from 0 (best) to {codec.worst} here")
        return codec

    def shows(self, label: str, object_id: int) -> bool:
        """Whether this object is one of those to show."""
        chosen = self.selection
        return not chosen or ("label", label) in chosen or ("id", str(object_id)) in chosen

    def check_output(self, path: str | os.PathLike[str], overwrite: bool, clip: str | os.PathLike[str]) -> Path:
        """Check that the file can be written, and that its suffix suits what is written.

        Args:
            path: the file.
            overwrite: whether an existing file may be replaced.
            clip: the clip, which is never replaced.

        Returns:
            `path` as a Path.

        Raises:
            OutputError: if it cannot be written.
        """
        path = check_writable(path, overwrite, clip)
        if self.frame is not None:
            what, suffixes = "stills are", (".png",)
        elif self.kind == "sheet":
            what, suffixes = "a sheet is", (".png",)
        elif self.kind == "cutout":
            what, suffixes = "a cutout is", tuple(WITH_ALPHA)
        else:
            what, suffixes = "videos are", (*VIDEO_FORMATS, *((".gif",) if self.kind == "overlay" else ()))
        if path.suffix.lower() not in suffixes:
            raise OutputError(f"{path}: {what} written as {' '.join(suffixes)}; choose one of these names")
        return path

    def _check_kind(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no kind {self.kind!r}; choose {', '.join(KINDS)}")
        for_overlays = {
            "style": self.style,
            "opacity": self.opacity,
            "background": self.background,
            "side by side": self.side_by_side or None,
        }
        for name, given in for_overlays.items():
            if self.kind != "overlay" and given is not None:
                raise ValueError(f"{name} is for overlays, not for a {self.kind}")
        if self.kind == "sheet" and (self.frame, self.height, self.width) != (None, None, None):
            raise ValueError(
                "a sheet has a size of its own, and shows several frames; leave out frame, height and width"
            )

    def _check_styles(self) -> None:
        if unknown := sorted(self.styles - set(STYLES)):
            raise ValueError(f"there is no style {unknown[0]!r}; choose from {', '.join(STYLES)}")
        if self.background is not None and self.styles & {"blur-background", "spotlight"}:
            raise ValueError(
                "blur-background and spotlight are for the clip's own background; leave out background, or them"
            )
        if self.opacity is not None and ("mask" not in self.styles or not 0 <= self.opacity <= 1):
            raise ValueError("opacity is a number from 0 to 1, and for the style mask")

    def _check_size(self) -> None:
        if self.height is not None and self.width is not None:
            raise ValueError("give height or width: the other follows")
        if not all(side is None or SMALLEST <= side <= LARGEST for side in (self.height, self.width)):
            raise ValueError(f"height and width are from {SMALLEST} to {LARGEST} pixels")


def _selector(text: str) -> tuple[str, str]:
    """("label", name) or ("id", number) from "label=NAME" or "id=NUMBER"."""
    key, _, value = (part.strip() for part in text.partition("="))
    if key not in ("label", "id") or not value or (key == "id" and not value.isdecimal()):
        raise ValueError(f"{text!r} chooses no objects; write label=NAME or id=NUMBER")
    return key, str(int(value)) if key == "id" else value

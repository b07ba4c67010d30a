"""Preset names and where their checkpoints are: in the package, in the hub's cache on disk, or on the hub."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vidseg.errors import ModelError

PACKAGE = Path(__file__).parent
# Files of a transformers checkpoint that are read; the hub's copies of other formats stay where they are.
DETECTOR_FILES = ["*.json", "*.txt", "model.safetensors"]
HUB_PATIENCE = 3.0  # seconds to wait for the hub's first answer; its own client would retry for 23 s a file


@dataclass(frozen=True)
class Preset:
    """A pair of checkpoints.

    Attributes:
        sam: folder in the package, or hub id of a SAM 2.1 checkpoint in Meta's format.
        detector: folder in the package, or hub id of a Grounding DINO checkpoint.
        megabytes: what is downloaded for both, rounded.
        note: what it is for, in a few words.
        sharpen: whether outlines are moved to edges in the picture unless asked otherwise. For those who draw coarse masks.
    """

    name: str
    sam: str
    detector: str
    megabytes: int
    note: str
    sharpen: bool = False


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "demo", "demo/sam", "demo/detector", 0, "bundled; knows a made-up world of emoji and no other", sharpen=True
        ),
        Preset("tiny", "facebook/sam2.1-hiera-tiny", "IDEA-Research/grounding-dino-tiny", 846, "fastest"),
        Preset("small", "facebook/sam2.1-hiera-small", "IDEA-Research/grounding-dino-tiny", 874, "default"),
        Preset(
            "base-plus",
            "facebook/sam2.1-hiera-base-plus",
            "IDEA-Research/grounding-dino-base",
            1256,
            "better boxes and masks",
        ),
        Preset(
            "large", "facebook/sam2.1-hiera-large", "IDEA-Research/grounding-dino-base", 1831, "best masks, slowest"
        ),
    )
}


def preset(name: str) -> Preset:
    """The preset of that name. Raises ModelError for any other name."""
    if name not in PRESETS:
        raise ModelError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def locate_sam(source: str) -> Path:
    """Where a SAM 2 checkpoint is on disk, downloaded if need be.

    Args:
        source: a local file or folder, a folder of the package, or a hub id.
    """
    local = local_path(source)
    if local is not None:
        return local
    return Path(from_hub(source, sam_file(source)))


def locate_detector(source: str) -> Path:
    """Folder of a Grounding DINO checkpoint on disk, downloaded if need be. Arguments as for `locate_sam`."""
    local = local_path(source)
    return local if local is not None else Path(from_hub(source))


def local_path(source: str) -> Path | None:
    """The file or folder that `source` names, or None if it reads as a hub id.

    A hub id is "owner/name"; whatever exists on disk, starts like a path or has a checkpoint's extension is a path.
    """
    bundled = PACKAGE / source
    if source in {part for p in PRESETS.values() for part in (p.sam, p.detector)} and bundled.is_dir():
        return bundled
    path = Path(source).expanduser()
    if source and os.path.exists(path):  # not path.exists(), which raises where a name is too long
        return path
    if path.suffix in {".pt", ".pth", ".safetensors"} or not is_hub_id(source):
        raise ModelError(
            f"{source}: no such checkpoint; give an existing file or folder, or a hub id such as facebook/sam2.1-hiera-tiny"
        )
    return None


def is_hub_id(source: str) -> bool:
    """Whether the hub could have a repository of this name: "owner/name"."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(source)
    except HFValidationError:
        return False
    return source.count("/") == 1


def sam_file(hub_id: str) -> str:
    """Name of the checkpoint file in Meta's repositories: facebook/sam2.1-hiera-tiny → sam2.1_hiera_tiny.pt."""
    return hub_id.split("/")[-1].replace("-", "_") + ".pt"


def on_disk(preset: Preset) -> bool:
    """Whether both checkpoints of a preset can be loaded without the network."""
    sam = local_path(preset.sam) or cached(preset.sam, sam_file(preset.sam))
    return sam is not None and (local_path(preset.detector) or cached(preset.detector)) is not None


def cached(hub_id: str, file: str | None = None) -> str | None:
    """Path of a hub checkpoint (one file, or the detector's folder) in the local cache, None if it is not (wholly) there."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        if file:
            return hf_hub_download(hub_id, file, local_files_only=True)
        hf_hub_download(hub_id, "model.safetensors", local_files_only=True)
        return snapshot_download(hub_id, allow_patterns=DETECTOR_FILES, local_files_only=True)
    except LocalEntryNotFoundError:
        return None


def from_hub(hub_id: str, file: str | None = None) -> str:
    """Path of a hub checkpoint (one file, or the detector's folder) after downloading what is not cached.

    Raises:
        ModelError: the hub cannot be reached, or has no such checkpoint.
    """
    found = cached(hub_id, file)
    if found is not None:
        return found
    import httpx
    from huggingface_hub import hf_hub_download, snapshot_download

    probe_hub(hub_id)
    try:
        return hf_hub_download(hub_id, file) if file else snapshot_download(hub_id, allow_patterns=DETECTOR_FILES)
    except (httpx.HTTPError, OSError) as error:  # the hub's own errors are among these
        reason = (str(error).splitlines() or ["?"])[0]
        raise ModelError(f"{hub_id}: could not be downloaded ({reason}); check the name, or {ELSEWHERE}") from None


ELSEWHERE = (
    "give local files with --sam and --detector, fetch ahead of time with `vidseg models --download NAME`, "
    "or try --model demo, which needs no download"
)


def probe_hub(hub_id: str) -> None:
    """Ask the hub for one answer before starting a download that would retry a dead network for minutes."""
    from threading import Thread

    import httpx
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    answered = []

    def ask() -> None:
        try:
            httpx.head(ENDPOINT, timeout=HUB_PATIENCE, follow_redirects=False)
            answered.append(True)
        except Exception:  # the network's, a malformed HF_ENDPOINT's, a proxy's that httpx cannot use
            pass

    if not HF_HUB_OFFLINE:
        # In a thread, because looking up a name has no time limit of its own.
        asker = Thread(target=ask, daemon=True)
        asker.start()
        asker.join(HUB_PATIENCE + 0.5)
    if not answered:
        raise ModelError(f"{hub_id}: not on this disk, and the model hub cannot be reached; {ELSEWHERE}")

"""The presets, and where their checkpoints are: in the package, in the hub's cache on disk, or on the hub."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vidseg.errors import ModelError

PACKAGE = Path(__file__).parent
ELSEWHERE = (
    "give local files with --sam and --detector, fetch ahead of time with `vidseg models --download NAME`, "
    "or try --model demo, which needs no download"
)
DETECTOR_FILES = ["*.json", "*.txt", "model.safetensors"]  # what is read of a transformers checkpoint
SAM_FILES = ["config.json", "model*.safetensors", "model.safetensors.index.json"]  # the same of a Sam2VideoModel
HUB_TIMEOUT = 3.0  # seconds to wait for the hub's first answer; its own client would retry for 23 s a file


class HubError(ModelError):
    """The hub cannot be reached, or does not have a checkpoint.

    Args:
        reason: what is wrong.
        advice: what to do about it.

    Attributes:
        reason: as given, for those who have other advice.
    """

    def __init__(self, reason: str, advice: str = ELSEWHERE):
        super().__init__(f"{reason}; {advice}")
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A pair of checkpoints.

    Attributes:
        name: what `--model` and `vidseg.load` call it.
        sam: folder in the package, or hub id of a SAM 2.1 checkpoint in Meta's format.
        detector: folder in the package, or hub id of a Grounding DINO checkpoint.
        megabytes: size of both downloads, rounded.
        note: what it is for, in a few words.
        sharpen: whether outlines move to edges in the picture unless the user says otherwise; for coarse masks.
    """

    name: str
    sam: str
    detector: str
    megabytes: int
    note: str
    sharpen: bool = False


DINO_TINY, DINO_BASE = "IDEA-Research/grounding-dino-tiny", "IDEA-Research/grounding-dino-base"
PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="demo",
            sam="demo/sam",
            detector="demo/detector",
            megabytes=0,
            note="bundled; knows a made-up world of emoji and no other",
            sharpen=True,
        ),
        Preset(name="tiny", sam="facebook/sam2.1-hiera-tiny", detector=DINO_TINY, megabytes=846, note="fastest"),
        Preset(name="small", sam="facebook/sam2.1-hiera-small", detector=DINO_TINY, megabytes=874, note="default"),
        Preset(
            name="base-plus",
            sam="facebook/sam2.1-hiera-base-plus",
            detector=DINO_BASE,
            megabytes=1256,
            note="better boxes and masks",
        ),
        Preset(
            name="large",
            sam="facebook/sam2.1-hiera-large",
            detector=DINO_BASE,
            megabytes=1831,
            note="best masks, slowest",
        ),
    )
}


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ModelError: there is none.
    """
    if name not in PRESETS:
        raise ModelError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def locate_sam(source: str) -> Path:
    """Path of a SAM 2 checkpoint on this disk, downloaded if need be: Meta's file, or else transformers' folder.

    Args:
        source: a local file or folder, a folder of the package, or a hub id.

    Raises:
        ModelError: there is no such file, or the hub cannot be reached or does not have it.
    """
    local = find_local(source)
    return local if local is not None else Path(find_or_download(source, sam_file(source), SAM_FILES))


def locate_detector(source: str) -> Path:
    """Folder of a Grounding DINO checkpoint on this disk, downloaded if need be.

    Args:
        source: a local folder, a folder of the package, or a hub id.

    Raises:
        ModelError: there is no such folder, or the hub cannot be reached or does not have it.
    """
    local = find_local(source)
    return local if local is not None else Path(find_or_download(source, DETECTOR_FILES))


def find_local(source: str) -> Path | None:
    """The file or folder that `source` names, or None if it is a hub id.

    A hub id is "owner/name". Whatever exists on disk, looks like a path or ends like a checkpoint file is a path.

    Raises:
        ModelError: it is a path, and there is nothing.
    """
    bundled = PACKAGE / source
    if source in {part for pair in PRESETS.values() for part in (pair.sam, pair.detector)} and bundled.is_dir():
        return bundled
    path = Path(source).expanduser()
    if source and os.path.exists(path):  # Path.exists() raises if a name is too long
        return path
    if path.suffix in {".pt", ".pth", ".safetensors"} or not is_hub_id(source):
        raise ModelError(
            f"{source}: no such checkpoint; give an existing file or folder, "
            "or a hub id such as facebook/sam2.1-hiera-tiny"
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
    return hub_id.rpartition("/")[2].replace("-", "_") + ".pt"


def on_disk(preset: Preset) -> bool:
    """Whether both checkpoints of a preset can be loaded without the network."""
    sam = find_local(preset.sam) or find_cached(preset.sam, sam_file(preset.sam))
    return sam is not None and (find_local(preset.detector) or find_cached(preset.detector, DETECTOR_FILES)) is not None


def find_cached(hub_id: str, wanted: str | list[str]) -> str | None:
    """Path of a hub checkpoint in the local cache.

    Args:
        hub_id: the repository.
        wanted: the name of one file; or patterns, for the folder with all files that they match.

    Returns:
        The path, or None if the cache lacks the checkpoint or a part of it.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        found = get_from_hub(hub_id, wanted, local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    # The hub's client takes a folder for complete that lacks its weights.
    return found if isinstance(wanted, str) or has_weights(Path(found)) else None


def has_weights(folder: Path) -> bool:
    """Whether a transformers checkpoint has all its weights: one file, or all that an index names."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file() or not index.is_file():
        return (folder / "model.safetensors").is_file()
    return all((folder / file).is_file() for file in set(json.loads(index.read_text())["weight_map"].values()))


def find_or_download(hub_id: str, *wanted: str | list[str]) -> str:
    """Path of a hub checkpoint, downloaded if it is not in the cache.

    Args:
        hub_id: the repository.
        wanted: as for `find_cached`; what comes first is preferred.

    Raises:
        ModelError: the hub cannot be reached, or has no such checkpoint.
    """
    found = next((found for one in wanted if (found := find_cached(hub_id, one))), None)
    if found is not None:
        return found
    import httpx
    from huggingface_hub.errors import EntryNotFoundError

    check_hub(hub_id)
    try:
        for one in wanted[:-1]:
            with suppress(EntryNotFoundError):
                return get_from_hub(hub_id, one)
        return get_from_hub(hub_id, wanted[-1])
    except (httpx.HTTPError, OSError) as error:  # the hub's own errors are among these
        reason = (str(error).splitlines() or ["?"])[0]
        raise HubError(f"{hub_id}: could not be downloaded ({reason})", f"check the name, or {ELSEWHERE}") from None


def get_from_hub(hub_id: str, wanted: str | list[str], *, local_files_only: bool = False) -> str:
    """Path of one file of a hub repository, or of the folder with several; errors are the hub client's own."""
    # Their signatures name tqdm, which has no types.
    from huggingface_hub import hf_hub_download, snapshot_download  # pyright: ignore[reportUnknownVariableType]  # see above

    if isinstance(wanted, str):
        return hf_hub_download(hub_id, wanted, local_files_only=local_files_only)
    return snapshot_download(hub_id, allow_patterns=wanted, local_files_only=local_files_only)


def check_hub(hub_id: str) -> None:
    """Wait shortly for one answer of the hub, because a download retries a dead network for minutes.

    Raises:
        HubError: there is no answer; `hub_id` is what the message says is missing.
    """
    from threading import Event, Thread

    import httpx
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    answered = Event()

    def ask() -> None:
        try:
            httpx.head(ENDPOINT, timeout=HUB_TIMEOUT, follow_redirects=False)
            answered.set()
        except Exception:  # the network's, a malformed HF_ENDPOINT's, a proxy's that httpx cannot use
            pass

    if not HF_HUB_OFFLINE:
        # In a thread, because looking up a name has no time limit of its own.
        asker = Thread(target=ask, daemon=True)
        asker.start()
        asker.join(HUB_TIMEOUT + 0.5)
    if not answered.is_set():
        raise HubError(f"{hub_id}: not on this disk, and the model hub cannot be reached")

"""Where checkpoints are: in the package, on disk, in the hub's cache; and what is said when they are nowhere."""

from __future__ import annotations

import httpx
import pytest
from click.testing import CliRunner
from huggingface_hub import constants

from vidseg import presets
from vidseg.commands.main import main
from vidseg.errors import ModelError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DETECTOR = ("config.json", "tokenizer.json", "vocab.txt", "model.safetensors")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def asked(monkeypatch):
    """Addresses that were asked for, on a machine without a network."""
    addresses = []

    def refuse(url, **_):
        addresses.append(url)
        raise httpx.ConnectError("no route to host")

    monkeypatch.setattr(httpx, "head", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return addresses


def put(cache, hub_id: str, *files: str):
    """What the hub's client leaves in its cache after downloading `files`."""
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True, exist_ok=True)
    for file in files:
        (snapshot / file).write_text("{}")
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return snapshot


def test_unknown_preset_names_those_there_are():
    with pytest.raises(ModelError, match="'huge'; there are demo, tiny, small, base-plus, large"):
        presets.preset("huge")


def test_demo_is_in_the_package(asked):
    demo = presets.preset("demo")
    assert (presets.locate_sam(demo.sam) / "model.safetensors").is_file()
    assert (presets.locate_detector(demo.detector) / "config.json").is_file()
    assert not asked


def test_what_exists_on_disk_is_taken_as_it_is(tmp_path, monkeypatch, asked):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "owner" / "name").mkdir(parents=True)
    (tmp_path / "sam.pt").touch()
    assert presets.locate_detector("owner/name").samefile(tmp_path / "owner/name")
    for name in ("sam.pt", "./sam.pt", "~/sam.pt", str(tmp_path / "sam.pt")):
        assert presets.locate_sam(name).samefile(tmp_path / "sam.pt")
    assert not asked


@pytest.mark.parametrize(
    "source",
    [
        "./models/sam",
        "../sam",
        "/nowhere/sam.pt",
        "~/nowhere",
        "weights/sam.pt",
        "weights/sam.pth",
        "dino/model.safetensors",
        "sam",
        "a/b/c",
        "",
        "two words/name",
        "owner/-",
        "a--b/c",
        "owner/name ",
        "x" * 300,
    ],
)
@pytest.mark.parametrize("locate", [presets.locate_sam, presets.locate_detector])
def test_a_path_that_does_not_exist_is_not_looked_up_on_the_hub(tmp_path, monkeypatch, asked, locate, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no such checkpoint; give an existing file or folder, or a hub id") as caught:
        locate(source)
    assert str(caught.value).startswith(source) and "\n" not in str(caught.value)
    assert not asked


@pytest.mark.parametrize("how", ["no network", "offline", "odd failure"])
@pytest.mark.parametrize(
    ("locate", "source"),
    [
        (presets.locate_sam, "facebook/sam2.1-hiera-small"),
        (presets.locate_detector, "IDEA-Research/grounding-dino-tiny"),
    ],
)
def test_unreachable_hub_gives_one_line_with_the_ways_out(cache, asked, monkeypatch, how, locate, source):
    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    if how == "odd failure":  # what httpx raises for a proxy that it cannot use
        monkeypatch.setattr(httpx, "head", lambda *_, **__: (_ for _ in ()).throw(ImportError("no socksio")))
    with pytest.raises(ModelError) as caught:
        locate(source)
    message = str(caught.value)
    assert message.startswith(f"{source}: not on this disk") and "\n" not in message
    for way in ("--model demo", "--sam", "--detector", "vidseg models --download"):
        assert way in message
    assert len(asked) == (how == "no network")
    assert not cache.exists()


def test_reachable_hub_without_the_checkpoint(cache, monkeypatch):
    import huggingface_hub

    def missing(*_, local_files_only=False, **__):
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")
        request = httpx.Request("GET", "https://huggingface.co/x")
        raise huggingface_hub.errors.RepositoryNotFoundError(
            "404: no such repository\nmore", response=httpx.Response(404, request=request)
        )

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(httpx, "head", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", missing)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", missing)
    for locate in (presets.locate_sam, presets.locate_detector):
        with pytest.raises(ModelError, match="^owner/typo: could not be downloaded .*check the name") as caught:
            locate("owner/typo")
        assert "\n" not in str(caught.value)


def test_a_repository_without_metas_file_gives_its_transformers_folder(cache, monkeypatch):
    import huggingface_hub

    def one_file(*_, local_files_only=False, **__):
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")
        raise huggingface_hub.errors.RemoteEntryNotFoundError(
            "404: no such file", response=httpx.Response(404, request=httpx.Request("GET", "https://hub/x"))
        )

    def folder(hub_id, *, allow_patterns, local_files_only=False):
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")
        assert allow_patterns == presets.SAM_FILES
        return put(cache, hub_id, "config.json", "model.safetensors")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(httpx, "head", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", one_file)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", folder)
    assert (presets.locate_sam("owner/mine") / "model.safetensors").is_file()


def test_cached_transformers_folders_need_no_network(cache, asked):
    whole = put(cache, "owner/whole", "config.json", "model.safetensors")
    shards = put(cache, "owner/shards", "config.json", "model-00001.safetensors", "model-00002.safetensors")
    index = '{"weight_map": {"a": "model-00001.safetensors", "b": "model-00002.safetensors"}}'
    (shards / "model.safetensors.index.json").write_text(index)
    assert presets.locate_sam("owner/whole").samefile(whole)
    assert presets.locate_sam("owner/shards").samefile(shards)
    assert not asked
    (shards / "model-00002.safetensors").unlink()
    with pytest.raises(ModelError, match="not on this disk"):
        presets.locate_sam("owner/shards")


def test_cached_checkpoints_need_no_network(cache, asked):
    sam = put(cache, "facebook/sam2.1-hiera-tiny", "sam2.1_hiera_tiny.pt")
    detector = put(cache, "IDEA-Research/grounding-dino-tiny", *DETECTOR)
    assert presets.locate_sam("facebook/sam2.1-hiera-tiny").samefile(sam / "sam2.1_hiera_tiny.pt")
    assert presets.locate_detector("IDEA-Research/grounding-dino-tiny").samefile(detector)
    assert not asked


def test_a_half_downloaded_checkpoint_is_not_taken(cache, asked):
    put(cache, "facebook/sam2.1-hiera-tiny", "sam2.1_hiera_t.yaml")
    put(cache, "IDEA-Research/grounding-dino-tiny", "config.json", "vocab.txt")
    for locate, source in (
        (presets.locate_sam, "facebook/sam2.1-hiera-tiny"),
        (presets.locate_detector, "IDEA-Research/grounding-dino-tiny"),
    ):
        with pytest.raises(ModelError, match="not on this disk"):
            locate(source)


# -- vidseg models ---------------------------------------------------------------------------------------------------


def listed() -> dict[str, tuple[str, str]]:
    """What `vidseg models` says of each preset: where it is, and what it is made of."""
    result = CliRunner().invoke(main, ["models"])
    assert result.exit_code == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    return {
        first.split()[0]: (first.split(maxsplit=1)[1], second.strip())
        for first, second in zip(lines[::2], lines[1::2], strict=True)
    }


def test_models_lists_every_preset_and_what_is_on_disk(cache, asked):
    put(cache, "facebook/sam2.1-hiera-tiny", "sam2.1_hiera_tiny.pt")
    table = listed()
    assert list(table) == list(presets.PRESETS)
    for preset in presets.PRESETS.values():
        where, parts = table[preset.name]
        assert parts == f"{preset.sam} + {preset.detector}" and where.endswith(preset.note)
        assert where.startswith(
            "on this disk" if preset.name == "demo" else f"{preset.megabytes} MB to download"
        )  # tiny lacks its detector
    put(cache, "IDEA-Research/grounding-dino-tiny", *DETECTOR)
    assert {name for name, (where, _) in listed().items() if where.startswith("on this disk")} == {"demo", "tiny"}
    assert not asked


def test_models_download(cache, asked):
    run = CliRunner().invoke
    result = run(main, ["models", "--download", "demo"])
    assert result.exit_code == 0 and result.stdout.startswith("demo is on this disk:")
    assert all(line.strip().startswith(str(presets.PACKAGE)) for line in result.stdout.splitlines()[1:])
    for name, says in (("huge", "there are demo, tiny"), ("tiny", "cannot be reached")):
        result = run(main, ["models", "--download", name])
        assert result.exit_code == 1 and result.stdout == ""
        assert result.stderr.startswith("vidseg: ") and result.stderr.count("\n") == 1 and says in result.stderr


@pytest.mark.parametrize("name", [name for name in presets.PRESETS if name != "demo"])
def test_download_without_a_network_does_not_advise_itself(cache, asked, name):
    result = CliRunner().invoke(main, ["models", "--download", name])
    assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"vidseg: {presets.preset(name).sam}: not on this disk")
    assert "--model demo" in result.stderr and "--download" not in result.stderr and "--sam" not in result.stderr

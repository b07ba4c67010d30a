"""Questions that only a GPU can answer, one table a command.

    uv run python -m scripts.benchmarks.gpu kernels             # which attention kernel reads memories fastest
    uv run python -m scripts.benchmarks.gpu film dog.mp4        # frames/s from a video file to its overlay

The time of a frame beside other implementations: `scripts.benchmarks.engine speed --device cuda --compile`.
Both commands run on a CPU as well (`--device cpu`), to see that they work.
"""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from scripts.benchmarks.frames import FULL_BANK, SIZES
from scripts.common import clock, machine, plural


@click.group()
def main() -> None:
    """Questions that only a GPU can answer."""


@main.command()
@click.option("--device", default="cuda", show_default=True)
@click.option("--objects", default=1, show_default=True)
@click.option("--repeats", default=20, show_default=True)
@click.option("--cells", default=64, show_default=True, help="The frame has cells × cells tokens.")
def kernels(device: str, objects: int, repeats: int, cells: int) -> None:
    """One layer's reading of seven memories in bfloat16: keys 256 wide, values 64, by each of torch's kernels.

    `vidseg.sam.fused.READING` names the ones in use. Flash attention wants equal widths: its values are padded with
    zeros.
    """
    import torch
    import torch.nn.functional as F
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.attention.flex_attention import flex_attention

    keys = 7 * cells * cells + 64
    query, key, value = (
        torch.randn(objects, 1, count, width, device=device, dtype=torch.bfloat16)
        for count, width in ((cells * cells, 256), (keys, 256), (keys, 64))
    )
    wide = F.pad(value, (0, 256 - 64))
    flex = torch.compile(flex_attention, dynamic=False)

    def fused(backend, values):
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(query, key, values)[..., :64]

    candidates = {
        "memory-efficient": lambda: fused(SDPBackend.EFFICIENT_ATTENTION, value),
        "cuDNN": lambda: fused(SDPBackend.CUDNN_ATTENTION, value),
        "flash, values padded": lambda: fused(SDPBackend.FLASH_ATTENTION, wide),
        "cuDNN, values padded": lambda: fused(SDPBackend.CUDNN_ATTENTION, wide),
        "matrix products": lambda: fused(SDPBackend.MATH, value),
        "flex attention": lambda: flex(query, key, value),
    }
    exact = F.softmax(query[:1].float() @ key[:1].float().transpose(2, 3) / 16, -1) @ value[:1].float()
    click.echo(f"{machine()}; {plural(objects, 'object')}, {cells * cells} queries, {keys} keys")
    cuda = torch.device(device).type == "cuda"
    for name, run in candidates.items():
        try:
            error = float((run()[:1].float() - exact).norm() / exact.norm())
            times = []
            for _ in range(repeats + 3):
                began = clock(cuda)
                run()
                times.append(clock(cuda) - began)
            times = [1e3 * each for each in times[3:]]
            spread = f"{min(times):.3f}–{max(times):.3f}"
            click.echo(f"{name}: median {statistics.median(times):.3f} ms ({spread}), relative error {error:.4f}")
        except Exception as reason:  # each kernel refuses in its own way; the next one may run
            click.echo(f"{name}: not here ({str(reason).splitlines()[0][:120]})")


@main.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--device", default="cuda", show_default=True)
@click.option("--size", default="tiny", type=click.Choice(["demo", *SIZES]), show_default=True)
@click.option("--objects", default=1, show_default=True)
@click.option("--compile", is_flag=True)
def film(clip: Path, device: str, size: str, objects: int, compile: bool) -> None:
    """Frames/s from CLIP to an overlay video: decoding, tracking, drawing, encoding; objects by box, no detector.

    Counted from the frame on which banks are full and everything is compiled. Random weights but for the demo pair, so
    masks are arbitrary: drawing them may take longer than usual.
    """
    import vidseg
    from tests.support import stock
    from tests.support.standins import save_sam
    from vidseg.io.clip import Clip
    from vidseg.io.threads import Background
    from vidseg.rendering.overlay import OverlayWriter

    first = FULL_BANK + 4
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = stock.FULL.with_name(f"sam2.1_hiera_{SIZES.get(size)}.yaml")
        sam = None if size == "demo" else save_sam(config, folder / "sam.pt")
        preset = "demo" if size == "demo" else None
        model, info = vidseg.load(preset, sam=sam, device=device, compile=compile), Clip(clip).info
        boxes = [
            (0.1 * info.width + i, 0.2 * info.height, 0.5 * info.width + i, 0.8 * info.height) for i in range(objects)
        ]
        done, began = 0, 0.0
        with ExitStack() as writing:
            sound = clip if info.has_audio else None
            video = writing.enter_context(OverlayWriter(folder / "overlay.mp4", info, sound))
            background = writing.enter_context(Background(video.write))
            for done, frame in enumerate(model.track(clip, boxes=boxes, allow_overlap=True), 1):
                background.submit(frame)
                if done == first:
                    began = clock(device.startswith("cuda"))
        if done <= first:
            raise click.UsageError(f"{clip} has {done} frames; more than {first} are needed")
        rate = (done - first) / (clock(device.startswith("cuda")) - began)
        click.echo(
            f"{machine()}; {info.width} × {info.height}, {size}{', compiled' * compile}, {model.dtype}, "
            f"{plural(objects, 'object')}: {rate:.2f} frames/s over {done - first} frames"
        )


if __name__ == "__main__":
    main()

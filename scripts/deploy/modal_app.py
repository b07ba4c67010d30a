"""`vidseg serve` on a Modal GPU that is there only while somebody uses it. `docs/deploy.md` says how.

modal deploy -m scripts.deploy.modal_app                       # from a clone of this repository
uv run python -m scripts.deploy.modal_app --model demo         # the same application on this machine, without Modal
"""

from __future__ import annotations

import os
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts.common import ROOT

if TYPE_CHECKING:
    from fastapi import FastAPI

BEGAN = time.perf_counter()  # of the container's work, as far as this file can see it
PRESET = "small"
CACHE = "/weights"  # where the volume is mounted


def application(preset: str, token: str | None) -> FastAPI:
    """The application with its model loaded, and a line on how long that took and whether weights were downloaded."""
    import vidseg
    from vidseg.commands.fast_start import load_quickly
    from vidseg.web.app import create_app

    cache = Path(os.environ.get("HF_HOME", CACHE))
    before = size(cache)
    model = vidseg.load(preset)
    load_quickly(model, True)
    fetched = (size(cache) - before) >> 20
    print(
        f"vidseg is ready with {preset} on {model.device} {time.perf_counter() - BEGAN:.1f} s after the start of this "
        f"file; {fetched} MiB of weights were downloaded",
        flush=True,
    )
    return create_app(model, token=token)


def size(folder: Path) -> int:
    """Bytes in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


if find_spec("modal"):  # it is needed to deploy, and for nothing else
    modal = import_module("modal")
    image = (
        modal.Image.debian_slim(python_version="3.11")
        .apt_install("libgl1", "libglib2.0-0")  # which OpenCV loads
        .env({"SAM2_BUILD_CUDA": "0", "HF_HOME": CACHE})
        .pip_install(
            "torch>=2.6,<3", "torchvision>=0.21,<1"
        )  # before the source: a change of that does not fetch them again
        .add_local_dir(ROOT, "/src", copy=True, ignore=[".git", ".venv", "runs", "**/__pycache__"])
        .run_commands("pip install '/src[web]'")
    )
    weights = modal.Volume.from_name("vidseg-weights", create_if_missing=True)
    app = modal.App("vidseg")

    @app.cls(
        image=image,
        gpu="L4",
        volumes={CACHE: weights},
        secrets=[modal.Secret.from_name("vidseg", required_keys=["VIDSEG_TOKEN"])],
        max_containers=1,  # sessions live in one container
        scaledown_window=300,
        timeout=3600,
        startup_timeout=1800,  # the first start downloads
    )
    @modal.concurrent(max_inputs=100)
    class Web:
        """The page, in a container with the GPU."""

        @modal.enter()
        def load(self) -> None:
            """Load the model, once a container."""
            self.served = application(PRESET, os.environ["VIDSEG_TOKEN"])
            weights.commit()  # what was downloaded is there for the next start

        @modal.asgi_app()
        def page(self):
            """The application."""
            return self.served


@click.command()
@click.option("--model", default=PRESET, show_default=True)
@click.option("--port", default=8000, show_default=True)
def main(model: str, port: int) -> None:
    """Serve the same application on this machine, without Modal."""
    import uvicorn

    served = application(model, os.environ.get("VIDSEG_TOKEN"))
    uvicorn.run(served, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()

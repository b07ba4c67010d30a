"""`vidseg models`."""

from __future__ import annotations

import click

from vidseg import presets
from vidseg.errors import ModelError


@click.command()
@click.option("--download", metavar="NAME", help="Fetch the checkpoints of a preset ahead of time.")
def models(download: str | None) -> None:
    """List the presets and whether they are on this disk."""
    if download is not None:
        chosen = presets.preset(download)
        try:
            sam, detector = presets.locate_sam(chosen.sam), presets.locate_detector(chosen.detector)
        except presets.HubError as error:
            raise ModelError(
                f"{error.reason}; try again with a connection to the hub, copy the hub's cache from a machine that has "
                "one, or use --model demo, which needs no download"
            ) from None
        click.echo(f"{chosen.name} is on this disk:\n  {sam}\n  {detector}")
        return
    for preset in presets.PRESETS.values():
        where = "on this disk" if presets.on_disk(preset) else f"{preset.megabytes} MB to download"
        click.echo(f"{preset.name:10} {where:22} {preset.note}\n{'':10} {preset.sam} + {preset.detector}")

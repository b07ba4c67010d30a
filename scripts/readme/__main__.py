"""Runs every command of the README in a fresh clone of what is committed, and prints a table of what came of it.

uv run python -m scripts.readme                       # installs vidseg with the README's own commands first
uv run python -m scripts.readme --installed ~/.local/bin

Each command runs in a folder of its own, with the files that it names. One that needs what this machine lacks is
changed or left out, and the table says so. The exit code is 1 if a command fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import click

from scripts.common import ROOT
from scripts.readme.changes import FIGURES, PROGRAMS, Machine, plan
from scripts.readme.commands import PYTHON, Command, commands_of
from scripts.readme.files import make_files
from scripts.readme.running import Result, run_command, serve_briefly
from vidseg.errors import ModelError
from vidseg.presets import check_hub


@click.command()
@click.option(
    "--installed",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    metavar="DIR",
    help="Use the vidseg in this folder, and leave out the commands that install it.",
)
@click.option("--only", metavar="TEXT", default="", help="Only commands that contain this.")
@click.option("--timeout", default=1800, show_default=True, metavar="SECONDS", help="For each command.")
def main(installed: Path | None, only: str, timeout: int) -> None:
    with tempfile.TemporaryDirectory(prefix="readme-") as name:
        scratch = Path(name)
        subprocess.run(["git", "clone", "--quiet", ROOT, scratch / "clone"], check=True)
        commands = commands_of((scratch / "clone/README.md").read_text())
        rows: list[tuple[Command, Result]] = []
        environment = environment_of(scratch, installed)
        for command in sorted(commands, key=lambda one: not one.installs):
            if only not in command.text:
                continue
            if command.installs and installed is not None:
                rows.append((command, Result("not run", "vidseg was installed before")))
                continue
            machine = Machine() if command.installs else machine_of(python_of(environment))
            result = run_one(command, machine, scratch, environment, timeout)
            click.echo(f"line {command.line}: {result.outcome}, {result.seconds:.0f} s", err=True)
            if result.outcome == "failed":
                click.echo(result.output, err=True)
            rows.append((command, result))
    rows.sort(key=lambda row: row[0].line)
    figures = sum(result.note == FIGURES for _, result in rows)
    click.echo("| line | command | outcome | how | seconds |\n|---|---|---|---|---|")
    for command, result in rows:
        if result.note == FIGURES:
            continue
        text = command.text.replace("|", "\\|") if command.language != PYTHON else "the block of Python"
        click.echo(f"| {command.line} | `{text}` | {result.outcome} | {result.note} | {result.seconds:.0f} |")
    click.echo(f"\nNot run, and not in the table: {figures} commands; each {FIGURES}.")
    sys.exit(any(result.outcome == "failed" for _, result in rows))


def environment_of(scratch: Path, installed: Path | None) -> dict[str, str]:
    """The environment of the commands: vidseg and pip from the scratch folder, and no browser that opens."""
    environment = {**os.environ, "BROWSER": "true", "UV_TOOL_DIR": str(scratch / "tools")}
    environment["UV_TOOL_BIN_DIR"] = str(scratch / "bin")
    for name in ("VIRTUAL_ENV", "PYTHONPATH"):
        environment.pop(name, None)
    if installed is None:
        subprocess.run([sys.executable, "-m", "venv", scratch / "venv"], check=True)
    folders = [str(installed)] if installed else [str(scratch / "venv/bin"), str(scratch / "bin")]
    ours = str(Path(sys.executable).parent)
    others = [folder for folder in environment["PATH"].split(os.pathsep) if folder != ours]
    return environment | {"PATH": os.pathsep.join(folders + others)}


@cache
def machine_of(python: str) -> Machine:
    """What this machine has, as seen by the vidseg that is installed with that Python."""
    ask = [python, "-c", "import torch; print(torch.cuda.is_available())"]
    cuda = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip() == "True"
    try:
        check_hub("the real checkpoints")
        hub = True
    except ModelError:
        hub = False
    return Machine(cuda=cuda, hub=hub, programs=frozenset(filter(shutil.which, PROGRAMS)))


def python_of(environment: dict[str, str]) -> str:
    """The Python of the vidseg that is installed."""
    vidseg = shutil.which("vidseg", path=environment["PATH"])
    if vidseg is None:
        raise click.ClickException("vidseg is not installed: give its folder with --installed")
    return str(Path(vidseg).resolve().with_name("python"))


def run_one(command: Command, machine: Machine, scratch: Path, environment: dict[str, str], timeout: int) -> Result:
    """Run one command in a folder of its own, or in the clone if it is about the clone."""
    wanted = plan(command, machine)
    why = "; ".join(wanted.reasons)
    if wanted.text is None:
        return Result("not run", why)
    in_clone = command.installs or wanted.text.startswith(("uv run", "pip install uv"))
    folder = scratch / "clone" if in_clone else scratch / f"line{command.line}-{len(os.listdir(scratch))}"
    if not in_clone:
        make_files(folder, wanted.text)
    began = time.time()
    if "vidseg serve" in wanted.text:
        done = serve_briefly(wanted.text, folder, environment, timeout)
    elif command.language == PYTHON:
        (folder / "readme.py").write_text(wanted.text)
        done = run_command(f"{python_of(environment)} readme.py", folder, environment, timeout)
    else:
        done = run_command(wanted.text, folder, environment, timeout)
    if not in_clone:
        shutil.rmtree(folder)
    outcome = "failed" if done.returncode else "ran as written" if not why else "ran, changed"
    return Result(outcome, why, time.time() - began, done.stdout)


if __name__ == "__main__":
    main()

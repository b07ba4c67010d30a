"""What of a command must be changed to run on this machine, and why; nothing is changed in silence."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scripts.readme.commands import PYTHON, Command

REAL = re.compile(r"\bvidseg (track|image|serve)\b")  # what loads models
PROGRAMS = ("ffmpeg", "jq", "zsh", "fish")
FIGURES = "prints a figure, which takes minutes to hours"
CHOSEN = re.compile(r"--model \S+")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the machine has.

    Attributes:
        cuda: a GPU that torch can use.
        hub: the real checkpoints, or a hub that has them.
        programs: those of PROGRAMS that are installed.
    """

    cuda: bool = False
    hub: bool = False
    programs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """What to run instead of a command as written, and the reasons; `text` is None if it cannot be run."""

    text: str | None
    reasons: tuple[str, ...] = ()


def plan(command: Command, machine: Machine) -> Plan:
    """How a command can be run on a machine."""
    text, reasons = command.text, []
    if skipped := reason_to_skip(command, machine):
        return Plan(None, (skipped,))

    def change(after: str, why: str) -> None:
        nonlocal text
        if after != text:
            text = after
            reasons.append(why)

    if command.language == PYTHON:
        if not machine.hub:
            change(text.replace('vidseg.load("small")', 'vidseg.load("demo")'), "demo pair: no model hub here")
        return Plan(text, tuple(reasons))
    if "ffmpeg …" in text:
        if "ffmpeg" in machine.programs:
            change(text.replace("…", "-loglevel error -i clip.mp4", 1), "-i clip.mp4 for …")
        else:
            change(re.sub(r"ffmpeg [^|]*\|", "cat clip.mkv |", text), "cat clip.mkv for ffmpeg, which is not installed")
    if "| jq" in text and "jq" not in machine.programs:
        change(text.partition(" | jq")[0], "without jq, which is not installed")
    if not machine.cuda:
        change(re.sub(r" --device cuda| --compile", "", text), "without --device cuda and --compile: no GPU here")
    if not machine.hub and REAL.search(text) and "--model demo" not in text and "--sam" not in text:
        named = CHOSEN.sub("--model demo", text)
        if named == text:
            named = REAL.sub(lambda found: f"{found[0]} --model demo", text)
        change(named, "--model demo: no model hub here")
    return Plan(text, tuple(reasons))


def reason_to_skip(command: Command, machine: Machine) -> str | None:
    """Why a command is not run at all; None: it can be run."""
    text = command.text
    if text == "uv run pytest":
        return "the tests: .ci/run runs them"
    if text.startswith(("python -m", "time ")) or command.section == "Figures":
        return FIGURES
    if "--download" in text and not machine.hub:
        return "no model hub here"
    shell = next((shell for shell in ("zsh", "fish") if f"{shell}_source" in text), None)
    return f"{shell} is not installed" if shell is not None and shell not in machine.programs else None

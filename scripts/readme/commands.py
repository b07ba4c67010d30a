"""The commands of the README."""

from __future__ import annotations

import re
from dataclasses import dataclass

FIRST_WORDS = ("vidseg", "uv", "pip", "python", "ffmpeg", "eval", "_VIDSEG_COMPLETE=")  # what a command begins with
# Inline code that is run, or that makes figures. `vidseg render` is a name.
INLINE = re.compile(
    r"`((?:vidseg (?:demo|models|--help|\w+ [^`\n]+))|(?:python -m|pip install|uv tool install) [^`\n]+)`"
)
SHELL, PYTHON = "shell", "python"


@dataclass(frozen=True)
class Command:
    """One command of the README.

    Attributes:
        text: as it is written: a line of shell, or a block of Python.
        line: where it begins, from 1.
        language: SHELL or PYTHON.
        section: the headline above it.
    """

    text: str
    line: int
    language: str = SHELL
    section: str = ""

    @property
    def installs(self) -> bool:
        """Whether it installs vidseg from a clone."""
        return self.text.startswith(("uv tool install .", 'uv tool install ".', "pip install .", 'pip install ".'))


def commands_of(text: str) -> list[Command]:
    """The commands in a Markdown text, in order: lines of code blocks, blocks of Python, and inline code.

    A line of an indented block is a command if it begins with one of FIRST_WORDS; so JSON and diagrams are none.
    Inline code is one if it is more than a name: `vidseg demo` and `vidseg eval a b` are, `vidseg eval` is not.
    """
    found: list[Command] = []
    section, fence, block, began = "", None, [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if fence == "python":
                found.append(Command("\n".join(block) + "\n", began, PYTHON, section))
            fence, block, began = (line[3:].strip() if fence is None else None), [], number + 1
        elif fence is not None:
            block.append(line)
        elif line.startswith("#"):
            section = line.lstrip("# ")
        elif line.startswith("    "):
            if line.strip().startswith(FIRST_WORDS):
                found.append(Command(line.strip(), number, SHELL, section))
        else:
            found += [Command(code, number, SHELL, section) for code in INLINE.findall(line)]
    return found

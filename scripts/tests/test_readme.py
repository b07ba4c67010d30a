"""Which commands the README has, and what is done to those that cannot run as they are written."""

from __future__ import annotations

import pytest

from scripts.common import ROOT
from scripts.readme.changes import Machine, plan
from scripts.readme.commands import PYTHON, Command, commands_of

TEXT = """# Title

    vidseg track clip.mp4        # a comment
    {"frame": 12, "objects": [
    clip --> detection

`vidseg models` lists presets, `vidseg render` draws, and `vidseg eval a b` measures.

## Install

    uv tool install .
    ffmpeg … -f matroska - | vidseg track -

```python
import vidseg

vidseg.load("small")
```

```sh
vidseg demo
```
"""


def test_commands_and_where_they_are():
    found = [(one.line, one.text, one.section) for one in commands_of(TEXT)]
    assert found == [
        (3, "vidseg track clip.mp4        # a comment", "Title"),
        (7, "vidseg models", "Title"),
        (7, "vidseg eval a b", "Title"),
        (11, "uv tool install .", "Install"),
        (12, "ffmpeg … -f matroska - | vidseg track -", "Install"),
        (15, 'import vidseg\n\nvidseg.load("small")\n', "Install"),
    ]
    assert [one.text for one in commands_of(TEXT) if one.installs] == ["uv tool install ."]


ALL = Machine(cuda=True, hub=True, programs=frozenset({"ffmpeg", "jq", "zsh", "fish"}))
NONE = Machine()


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("vidseg track clip.mp4 --prompt dog", "vidseg track --model demo clip.mp4 --prompt dog"),
        ("vidseg track a.mp4 --model large --device cuda --compile", "vidseg track a.mp4 --model demo"),
        ("vidseg image a.jpg --model demo", "vidseg image a.jpg --model demo"),
        ("vidseg track a.mp4 --sam my.pt", "vidseg track a.mp4 --sam my.pt"),
        ("vidseg track - | jq .objects", "vidseg track --model demo -"),
        ("ffmpeg … -f matroska - | vidseg track -", "cat clip.mkv | vidseg track --model demo -"),
        ("vidseg render a.mp4 a.tracks.jsonl", "vidseg render a.mp4 a.tracks.jsonl"),
        ("vidseg models --download large", None),
        ('eval "$(_VIDSEG_COMPLETE=zsh_source vidseg)"', None),
    ],
)
def test_what_a_machine_lacks_changes_a_command_and_is_named(text, instead):
    command = Command(text, 1)
    changed = plan(command, NONE)
    assert changed.text == instead and bool(changed.reasons) == (instead != text)
    with_all = plan(command, ALL)
    assert with_all.text == text.replace("…", "-loglevel error -i clip.mp4")


def test_python_gets_the_demo_pair():
    block = Command('vidseg.load("small")', 1, PYTHON)
    assert plan(block, NONE).text == 'vidseg.load("demo")' and plan(block, NONE).reasons
    assert plan(block, ALL).text == block.text


def test_the_readme_has_them():
    commands = commands_of((ROOT / "README.md").read_text())
    texts = [one.text.split("  ")[0] for one in commands]
    assert texts[1].startswith("pip install uv && uv run vidseg track samples/park.mp4")
    assert {"uv tool install .", "pip install .", "uv run pytest", "vidseg serve --open", "vidseg demo"} <= set(texts)
    assert sum(one.language == PYTHON for one in commands) == 1

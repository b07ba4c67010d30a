"""What `vidseg render` can be asked for, from Python and on the command line."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.rendering.test_render import SIZE, make_clip, two_tracks
from vidseg.commands.main import main
from vidseg.errors import OutputError
from vidseg.rendering.options import STYLES, RenderOptions
from vidseg.rendering.render import render

WRONG = [  # name of the output, choices, options of the command, what the error says
    (
        "o.mp4",
        {"style": "mask,glitter"},
        ["--style", "mask,glitter"],
        "no style 'glitter'; choose from blur-background",
    ),
    ("o.mp4", {"only": ["dog"]}, ["--only", "dog"], "'dog' chooses no objects; write label=NAME or id=NUMBER"),
    ("o.mp4", {"only": "id=one"}, ["--only", "id=one"], "'id=one' chooses no objects"),
    ("o.mp4", {"opacity": 0.5, "style": "box"}, ["--opacity", "0.5", "--style", "box"], "for the style mask"),
    ("o.mp4", {"height": 100, "width": 100}, ["--height", "100", "--width", "100"], "give height or width"),
    ("o.mp4", {"height": 3}, ["--height", "3"], "from 16 to 16384"),
    (
        "o.mp4",
        {"background": "red", "style": "spotlight"},
        ["--background", "red", "--style", "spotlight"],
        "the clip's own background",
    ),
    ("o.mov", {"codec": "vp9"}, ["--codec", "vp9"], "vp9 does not go into .mov files; choose .webm or .mp4 or .mkv"),
    ("o.webm", {"codec": "h264"}, ["--codec", "h264"], "h264 does not go into .webm"),
    ("o.mp4", {"crf": 52}, ["--crf", "52"], "crf is from 0 (best) to 51"),
    ("o.gif", {"crf": 20}, ["--crf", "20"], "codec and crf are for videos"),
    ("o.png", {"frame": 2, "codec": "av1"}, ["--frame", "2", "--codec", "av1"], "codec and crf are for videos"),
]
KINDS = [  # choices, options of the command
    (
        {"kind": "cutout", "style": "mask"},
        ["--cutout", "o.mov", "--style", "mask"],
        "style is for overlays, not for a cutout",
    ),
    ({"kind": "cutout", "side_by_side": True}, ["--cutout", "o.mov", "--side-by-side"], "side by side is for overlays"),
    (
        {"kind": "cutout", "codec": "h264"},
        ["--cutout", "o.mov", "--codec", "h264"],
        "a cutout's codec goes by its name",
    ),
    ({"kind": "cutout", "crf": 20}, ["--cutout", "o.mov", "--crf", "20"], "ProRes has no crf"),
    (
        {"kind": "matte", "background": "red"},
        ["--matte", "o.mov", "--background", "red"],
        "background is for overlays, not for a matte",
    ),
    ({"kind": "matte", "opacity": 0.0}, ["--matte", "o.mov", "--opacity", "0"], "opacity is for overlays"),
    ({"kind": "sheet", "frame": 0}, ["--sheet", "--frame", "0"], "leave out frame, height and width"),
]


@pytest.fixture
def files(tmp_path, monkeypatch):
    path = make_clip(tmp_path / "a.mp4", [512 * i for i in range(8)], size=SIZE)
    two_tracks(path, tmp_path / "t.jsonl", frames=range(8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["render", "a.mp4", "t.jsonl", *arguments])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("name", "choices", "options", "says"),
    [
        *((name, choices, ["--output", name, *options], says) for name, choices, options, says in WRONG),
        *(("o.mov", choices, options, says) for choices, options, says in KINDS),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_read(files, name, choices, options, says):
    with pytest.raises(ValueError) as error:
        render("no clip", "no tracks", name, **choices)
    assert says in str(error.value)
    result = run(*options)
    assert result.exit_code == 2 and says in result.stderr and result.stderr.startswith("Usage: ")
    assert names(files) == ["a.mp4", "t.jsonl"]


@pytest.mark.parametrize(
    "options",
    [
        ["--output", "a.mov", "--cutout", "b.mov"],
        ["--cutout", "b.mov", "--matte", "m.mp4"],
        ["--sheet", "--matte", "m.mp4"],
    ],
)
def test_one_file_a_run(files, options):
    result = run(*options)
    assert result.exit_code == 2 and "choose one of --output, --cutout, --matte and --sheet" in result.stderr


@pytest.mark.parametrize(
    ("name", "choices", "says"),
    [
        ("o.avi", {}, "videos are written as .mp4 .mkv .mov .webm .gif"),
        ("o.png", {}, "videos are written as"),
        ("o", {}, "videos are written as"),
        ("o.mp4", {"frame": 3}, "stills are written as .png"),
        ("o.mp4", {"kind": "cutout"}, "a cutout is written as .mov .webm"),
        ("o.gif", {"kind": "matte"}, "videos are written as .mp4 .mkv .mov .webm;"),
        ("o.jpg", {"kind": "sheet"}, "a sheet is written as .png"),
    ],
)
def test_suffixes_say_what_is_written(files, name, choices, says):
    with pytest.raises(OutputError) as error:
        render("a.mp4", "t.jsonl", name, **choices)
    assert says in str(error.value) and names(files) == ["a.mp4", "t.jsonl"]


def test_no_such_kind_or_colouring():
    for choices, says in [
        ({"kind": "poster"}, "no kind 'poster'"),
        ({"color_by": "size"}, "not by 'size'"),
        ({"frame": -1}, "no frame -1"),
        ({"codec": "divx"}, "no codec 'divx'"),
        ({"opacity": 2}, "from 0 to 1"),
    ]:
        with pytest.raises(ValueError, match=says):
            RenderOptions(suffix=".mp4", **choices)


def test_styles_are_given_as_text_or_as_names():
    assert (
        RenderOptions(suffix=".mp4", style=" label,mask ").styles
        == RenderOptions(suffix=".mp4", style=["mask", "label"]).styles
        == {"mask", "label"}
    )
    assert (
        RenderOptions(suffix=".mp4").styles == {"mask", "contour", "label"}
        and RenderOptions(suffix=".mp4", background="red").styles == set()
    )
    assert RenderOptions(suffix=".mp4", style=STYLES).styles == set(STYLES)
    options = RenderOptions(suffix=".mp4", only=["label=a=b", "id=007"])
    assert options.shows("a=b", 1) and options.shows("dog", 7) and not options.shows("a", 1)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ([], "a.tracked.mp4"),
        (["--sheet"], "a.sheet.png"),
        (["--frame", "3"], "a.frame3.png"),
        (["--output", "o.gif"], "o.gif"),
        (["--cutout", "c.webm"], "c.webm"),
        (["--matte", "m.mkv", "--codec", "h265"], "m.mkv"),
        (["--sheet", "--output", "s.png"], "s.png"),
        (["--cutout", "c.png", "--frame", "0"], "c.png"),
        (["--output", "o.webm", "--codec", "av1", "--crf", "40", "--height", "64"], "o.webm"),
        (
            ["--style", "box,trail", "--only", "label=dog", "--only", "id=7", "--color-by", "label", "--side-by-side"],
            "a.tracked.mp4",
        ),
        (["--background", "#204060", "--output", "b.mp4"], "b.mp4"),
    ],
)
def test_each_kind_is_written_under_its_name(files, options, name):
    result = run(*options)
    assert (result.exit_code, result.stderr, result.stdout) == (0, "", f"Wrote {name}\n")
    assert names(files) == sorted(["a.mp4", "t.jsonl", name])
    again = run(*options)
    assert again.exit_code == 1 and "exists already" in again.stderr and again.stderr.count("\n") == 1
    assert run(*options, "--overwrite").exit_code == 0


@pytest.mark.parametrize("output", ["out", "out/", "far/away", "v1.5/"])
def test_a_folder_takes_sheets_and_stills_and_is_made(files, output):
    for options, name in ((["--sheet"], "a.sheet.png"), (["--frame", "1"], "a.frame1.png"), ([], "a.tracked.mp4")):
        assert run("--output", output, *options).exit_code == 0 and (files / output / name).exists()


def test_a_frame_that_is_not_there_is_one_line(files):
    result = run("--frame", "50")
    assert (result.exit_code, result.stderr) == (1, "vidseg: t.jsonl has no frame 50: its last one is 7\n")


def test_options_cost_nothing_to_import():
    code = (
        "import sys, vidseg.commands.render; "
        "print({'numpy', 'cv2', 'av', 'PIL', 'supervision', 'rich'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "set()"
    )

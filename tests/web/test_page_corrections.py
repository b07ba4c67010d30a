"""Corrections on the page, runs that end early, and what asks before it throws work away."""

import json

import pytest

from tests.web.browsing import click, download, find, masks, middle, open_park, show, take, track
from tests.web.test_app import truth, until
from vidseg.web.jobs import Job

FRAMES = 4


@pytest.fixture
def dogs(page):
    """The page with both dogs tracked. Hands out its questions as they come; all are answered with no."""
    asked = []

    def answer(dialog):
        asked.append((dialog.type, dialog.message))
        dialog.dismiss()

    open_park(page, FRAMES)
    find(page, "dog")
    track(page)
    page.on("dialog", answer)
    return asked


def point_at(page, label: str, frame: int) -> None:
    page.click("#new")
    click(page, *middle(truth("park", frame)[label][0]))
    page.wait_for_function("document.querySelector('#status').textContent.startsWith('Mask')")


def test_a_correction_leaves_the_rest_and_counts_the_whole_clip(page, dogs):
    before = masks(page)
    show(page, 2)
    point_at(page, "ball", 2)
    page.fill('#objects li[data-id="3"] input', "toy")
    page.keyboard.press("Tab")
    show(page, 1)  # it begins where the click is, wherever one looks
    assert page.inner_text("#track") == "Track from frame 3"
    assert track(page) == f"3 objects in {FRAMES} frames: dog 1, dog 2, toy 3."
    after = masks(page)
    assert after[:2] == before[:2] and [3 in frame for frame in after] == [False, False, True, True]
    assert page.inner_text("#track") == "Track again"


def test_runs_that_end_early_keep_what_was_there(page, dogs, monkeypatch):
    before, told = masks(page), Job.add_frame
    find(page, "ball")
    with monkeypatch.context() as broken:
        broken.setattr("vidseg.web.runs.merge", lambda *_: 1 / 0)
        page.click("#track")
        page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#status") == "The run broke off. What was there before has stayed."
    assert [{number: frame[number] for number in (1, 2)} for frame in masks(page)] == before

    def wait_for_the_visitor(job, record):
        told(job, record)
        if job.done == 1:
            until(job._cancelled.is_set)

    monkeypatch.setattr(Job, "add_frame", wait_for_the_visitor)
    page.click("#track")
    page.wait_for_function("vidseg.state.ids.has(3) && vidseg.state.frames.get(1).length === 3")
    page.evaluate("location.reload()")
    page.click("#cancel")
    page.wait_for_function("document.querySelector('#status').textContent.startsWith('Cancelled')")
    assert page.inner_text("#status") == "Cancelled; 2 frames were tracked. The others are as before."
    after = masks(page)
    assert after[2:] == before[2:] and [set(frame) for frame in after] == [{1, 2, 3}] * 2 + [{1, 2}] * (FRAMES - 2)
    _, *lines = map(json.loads, download(page, "tracks").read_text().splitlines())
    assert [{one["id"]: one["mask"]["counts"] for one in line["objects"]} for line in lines] == after
    assert dogs[0][0] == "beforeunload" and page.inner_text("#track") == "Track what is new"


def test_what_is_tracked_goes_only_when_asked(page, dogs):
    before = masks(page)
    assert page.inner_text("#track") == "Track again"
    page.click("#track")
    page.set_input_files("#file", {"name": "b.png", "mimeType": "image/png", "buffer": b"none"})
    until(lambda: page.evaluate("1") and len(dogs) == 2)
    assert [kind for kind, _ in dogs] == ["confirm", "confirm"]
    assert "The 2 objects that have been tracked go, with name and corrections." in dogs[0][1]
    assert "It has masks or clicks that you have not downloaded." in dogs[1][1]
    assert masks(page) == before and page.is_visible("#work") and not page.evaluate("vidseg.state.job")

    page.click('#objects li[data-id="2"] [data-what="delete"]')
    assert page.inner_text("#status") == "dog 2 is deleted on all frames. Undo brings it back."
    page.click("#undo")
    page.wait_for_function("document.querySelectorAll('#objects li').length === 2")
    page.click('#objects li[data-id="2"] [data-what="delete"]')
    find(page, "dog, ball")
    assert track(page) == f"2 objects in {FRAMES} frames: dog 1, ball 3."
    _, *lines = map(json.loads, download(page, "tracks").read_text().splitlines())
    assert all([one["id"] for one in line["objects"]] == [1, 3] for line in lines)


def test_leaving_warns_while_something_would_be_lost(page):
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    take(page, "desk.png")
    page.reload()  # nothing is lost
    page.wait_for_selector("#samples button")
    take(page, "desk.png")
    find(page, "lamp")
    assert asked == []
    page.evaluate("location.reload()")
    until(lambda: page.evaluate("1") and asked == ["beforeunload"])
    download(page, "coco")
    page.reload()
    page.wait_for_selector("#samples button")
    assert asked == ["beforeunload"]

"""The page in a browser: what is painted on its canvas, and what it hands out, against the truth of the samples."""

import json

import numpy as np

from tests.web.browsing import click, download, find, ids, iou, middle, open_park, painted, show, take, track
from tests.web.test_app import truth, until
from vidseg.tracks.rle import decode_mask
from vidseg.web.jobs import Job


def test_threshold(page):
    take(page, "desk.png")
    assert page.input_value("#box-threshold") == "0.35" and page.inner_text("#search output") == "0.35"
    find(page, "car")
    assert page.inner_text("#status") == (
        "Nothing found for “car”: the best score was 0.32. Lower the threshold, or try another word."
    )
    page.fill("#box-threshold", "0.2")
    assert page.inner_text("#search output") == "0.20"
    page.eval_on_selector("#status", "node => { node.textContent = '' }")
    find(page, "car")
    assert page.inner_text("#status").startswith("Found ") and "car" in ids(page)


def test_text_on_an_image(page):
    take(page, "desk.png")
    find(page, "laptop. lamp")
    found, true = ids(page), truth("desk", 0)
    assert set(found) == {"laptop", "lamp"}
    for name, number in found.items():
        assert iou(painted(page, number), true[name][0]) > 0.75
    page.click(f'#objects li[data-id="{found["lamp"]}"] [data-what="hide"]')
    assert not painted(page, found["lamp"]).any() and painted(page, found["laptop"]).any()
    content = json.loads(download(page, "coco").read_text())
    assert [one["name"] for one in content["categories"]] == ["laptop"]


def test_three_clicks_and_undo(page):
    take(page, "desk.png")
    true = truth("desk", 0)
    x, y = middle(true["book"][0])
    click(page, x, y)
    first = painted(page, 1)
    click(page, x - 20, y - 30)
    second = painted(page, 1)
    click(page, *middle(true["lamp"][0]), modifiers=["Shift"])
    third = painted(page, 1)
    assert len(ids(page)) == 1 and iou(third, true["book"][0]) > 0.6

    def near(one, other):
        return iou(one, other) > 0.99  # the dots of the clicks are painted over

    page.click("#undo")
    page.wait_for_function("vidseg.state.history.length === 2")
    assert near(painted(page, 1), second)
    page.keyboard.press("Control+z")
    page.wait_for_function("vidseg.state.history.length === 1")
    assert near(painted(page, 1), first)
    page.click("#undo")
    page.wait_for_function("vidseg.state.history.length === 0")
    assert not painted(page, 1).any() and page.locator("#objects li").count() == 0


def test_the_keyboard_alone(page):
    page.focus('[data-sample="desk.png"]')
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.id === 'text' && document.activeElement.value")
    page.focus("#masks")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.eval_on_selector("#status", "node => { node.textContent = '' }")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#status').textContent !== ''")
    (prompt,) = page.evaluate("[...vidseg.state.prompts.get(0).values()]")
    assert prompt["points"] == [[540, 320]] and prompt["point_labels"] == [1]
    page.keyboard.press("n")
    page.focus("#masks")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("b")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    page.eval_on_selector("#status", "node => { node.textContent = '' }")
    page.keyboard.press("b")
    page.wait_for_function("document.querySelector('#status').textContent !== ''")
    assert page.evaluate("[...vidseg.state.prompts.get(0).values()].map(one => one.box)")[1] == [540, 335, 630, 425]


def test_a_clip_found_tracked_corrected_and_taken_away(page):
    open_park(page, 26)
    find(page, "dog. cat")
    assert "cat" in ids(page)
    track(page)
    assert page.evaluate("vidseg.state.frames.size") == 26
    show(page, 12)
    cat = ids(page)["cat"]
    assert iou(painted(page, cat), truth("park", 12)["cat"][0]) > 0.7

    ball = truth("park", 12)["ball"][0]
    ys, xs = np.nonzero(ball)
    area = page.locator("#masks").bounding_box()
    scale = area["width"] / 640
    page.eval_on_selector("#status", "node => { node.textContent = '' }")
    page.mouse.move(area["x"] + xs.min() * scale, area["y"] + ys.min() * scale)
    page.mouse.down()
    page.mouse.move(area["x"] + xs.max() * scale, area["y"] + ys.max() * scale, steps=4)
    page.mouse.up()
    page.wait_for_function("document.querySelector('#status').textContent.startsWith('Mask')")
    added = page.evaluate("vidseg.state.chosen")
    page.fill(f'#objects li[data-id="{added}"] input', "toy")
    page.keyboard.press("Tab")
    assert page.inner_text("#track") == "Track from frame 13"
    track(page)
    show(page, 20)
    assert iou(painted(page, added), truth("park", 20)["ball"][0]) > 0.5

    header, *lines = map(json.loads, download(page, "tracks").read_text().splitlines())
    assert header["clip"] == "park.mp4" and [line["frame"] for line in lines] == list(range(26))
    by_id = {one["id"]: one for one in lines[12]["objects"]}
    assert by_id[added]["label"] == "toy" and iou(decode_mask(by_id[added]["mask"]), ball) > 0.6
    assert iou(decode_mask(by_id[cat]["mask"]), truth("park", 12)["cat"][0]) > 0.7


def test_a_bad_file(page):
    page.set_input_files("#file", {"name": "holiday.png", "mimeType": "image/png", "buffer": b"not a picture"})
    page.wait_for_selector("#error:not([hidden])")
    assert "neither a picture nor a video" in page.inner_text("#error") and page.is_visible("#drop")
    take(page, "desk.png")  # and it goes on
    assert page.is_hidden("#error")


def test_a_cancelled_run(page, monkeypatch):
    take(page, "park.mp4")
    find(page, "cat")
    page.click("#track")
    page.wait_for_function("vidseg.state.frames.size > 3", timeout=60_000)
    page.click("#cancel")
    page.wait_for_selector("#track:not([hidden])")
    page.wait_for_function("document.querySelector('#status').textContent.startsWith('Cancelled')")
    made = page.evaluate("vidseg.state.frames.size")
    assert 3 < made < 192
    assert len(download(page, "tracks").read_text().splitlines()) == made + 1
    with page.expect_download() as coming:
        page.select_option("#download-kind", "still")
        page.click("#download")
    assert coming.value.suggested_filename == f"park.frame{page.evaluate('vidseg.state.frame')}.png"

    told = Job.progress

    def wait_for_the_visitor(job, done, total):
        until(job._cancelled.is_set)
        told(job, done, total)

    monkeypatch.setattr(Job, "progress", wait_for_the_visitor)
    page.select_option("#download-kind", "coco")
    page.click("#download")
    page.click("#stop")
    page.wait_for_selector("#download:not([hidden])")
    assert page.inner_text("#status") == "Cancelled; nothing was made." and page.is_hidden("#error")


def test_two_visitors(browser, live, page):
    take(page, "desk.png")
    find(page, "lamp")
    mine = page.evaluate("vidseg.state.media.media")
    with browser.new_context(bypass_csp=True) as context:
        other = context.new_page()
        other.goto(live)
        take(other, "desk.png")
        addresses = []
        other.on("request", lambda request: addresses.append(request.url))
        find(other, "cup")
        assert set(ids(other)) == {"cup"} and set(ids(page)) == {"lamp"}
        (place,) = {address.split("/media/")[0] for address in addresses if "/media/" in address}
        assert other.request.get(f"{place}/media/{mine}/frames/0").status == 404

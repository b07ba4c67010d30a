"""Words on the page: they add up, and what has been tracked stays as it is."""

import pytest

from tests.web.browsing import click, find, ids, masks, middle, open_park, show, track
from tests.web.test_app import truth

FRAMES = 4


def test_a_second_word_adds_to_what_is_tracked(page):
    open_park(page, FRAMES)
    find(page, "dog")
    assert track(page) == f"2 objects in {FRAMES} frames: dog 1, dog 2."
    dogs = masks(page)
    find(page, "ball")
    assert ids(page) == {"dog": 1, "ball": 3} and page.inner_text("#track") == "Track what is new"
    assert track(page) == f"3 objects in {FRAMES} frames: dog 1, dog 2, ball 3."
    both = masks(page)
    assert all({1, 2, 3} == set(frame) for frame in both)
    assert [{number: frame[number] for number in (1, 2)} for frame in both] == dogs
    assert page.evaluate("vidseg.state.words") == ["dog", "ball"]


def test_words_add_up_before_they_are_tracked(page):
    open_park(page, FRAMES)
    find(page, "dog")
    page.fill('#objects li[data-id="2"] input', "Rex")
    page.keyboard.press("Tab")
    find(page, "ball")
    find(page, "dog, ball")
    assert page.inner_text("#status") == "Found nothing new: it is in the list already."
    assert ids(page) == {"dog": 1, "Rex": 2, "ball": 3}
    page.click('#words li:has-text("ball") button')
    assert ids(page) == {"dog": 1, "Rex": 2} and page.input_value("#text") == "dog"
    page.click("#undo")
    page.wait_for_function("document.querySelectorAll('#objects li').length === 3")
    page.fill("#text", "cat")  # typed, and not looked for yet
    track(page)
    found = ids(page)
    assert set(found) == {"dog", "Rex", "ball", "cat"} and sorted(found.values()) == [1, 2, 3, 4]
    x, y = middle(truth("park", 0)["ball"][0])
    click(page, x, y)
    assert page.inner_text("#status") == f"Clicks now go to object {found['ball']}."


def test_a_word_that_finds_nothing(page):
    open_park(page, FRAMES)
    find(page, "dog")
    find(page, "zebra")
    assert page.inner_text("#status") == (
        "Nothing found for “zebra”: the best score was 0.00. Lower the threshold, or try another word."
    )
    assert ids(page) == {"dog": 1} and page.locator("#objects li").count() == 2
    assert track(page) == (
        f"2 objects in {FRAMES} frames: dog 1, dog 2; "
        "nothing was found for 'zebra': its best score is 0.00; lower the threshold, or try another word."
    )
    dogs = masks(page)
    find(page, "unicorn")
    assert ids(page) == {"dog": 1} and masks(page) == dogs


@pytest.mark.parametrize("without", [0, 3])
def test_the_last_frame_is_the_last_of_all(page, without):
    """Also of a clip whose beginning has been cut off without encoding it again."""
    last = f"frame {FRAMES} of {FRAMES}"
    open_park(page, FRAMES + without, without)
    page.wait_for_function("document.querySelector('#place').textContent !== ''")
    assert page.inner_text("#place") == f"frame 1 of {FRAMES} · 0.00 s"
    show(page, FRAMES - 1)
    assert page.inner_text("#place") == f"{last} · 0.13 s"
    assert page.get_attribute("#scrub", "aria-valuetext") == last

"""Runs that add to an earlier one: over HTTP, and frame by frame."""

import json

import numpy as np
import pytest
import supervision as sv

from tests.web.conftest import beginning_of_park, run
from tests.web.test_app import CAT
from vidseg.tracks.file import record_of
from vidseg.tracks.frame import TrackedFrame
from vidseg.tracks.records import parse_record
from vidseg.web.jobs import Job
from vidseg.web.merging import Change, Earlier, merge

FRAMES = 3
BALL = {"id": 2, "label": "ball", "box": [60, 290, 110, 340]}


@pytest.fixture
def track(client, visitor):
    """Tracks the first frames of the park. Returns the objects of each frame by id, and the job at its end."""
    media = client.post(f"{visitor}/media?name=park.mp4", content=beginning_of_park(FRAMES)).json()["media"]

    def track(**request):
        answer = client.post(f"{visitor}/media/{media}/track", json=request)
        assert answer.status_code == 202, answer.text
        frames, end = run(client, visitor, answer.json()["job"])
        return [{one["id"]: one for one in frame["objects"]} for frame in frames], end

    track.place = f"{visitor}/media/{media}"
    return track


def test_words_add_up(client, visitor, track):
    dogs, _ = track(text="dog")
    assert [set(frame) for frame in dogs] == [{1, 2}] * FRAMES
    both, end = track(text="ball. zebra")
    assert [{number: frame[number] for number in (1, 2)} for frame in both] == dogs
    assert [frame[3]["label"] for frame in both] == ["ball"] * FRAMES
    note = "nothing was found for 'zebra': its best score is 0.00; lower the threshold, or try another word"
    assert end["notes"] == [note]
    assert end["detail"] == f"3 objects in {FRAMES} frames: dog 1, dog 2, ball 3; {note}"
    job = client.post(f"{track.place}/results", json={"kind": "tracks"}).json()["job"]
    run(client, visitor, job)
    header, *lines = map(json.loads, client.get(f"{visitor}/jobs/{job}/file").text.splitlines())
    assert header["prompts"] == ["dog", "ball", "zebra"]
    assert [{one["id"]: one for one in line["objects"]} for line in lines] == both

    fewer, _ = track(text="dog", without=[2])  # what goes is not found again by the word that it has
    assert fewer == [{number: frame[number] for number in (1, 3)} for frame in both]
    fresh, end = track(text="ball", anew=True)
    assert [{one["label"] for one in frame.values()} for frame in fresh] == [{"ball"}] * FRAMES
    assert client.post(f"{track.place}/track", json={"anew": True, "text": "a", "from_frame": 1}).status_code == 422


def test_a_correction_leaves_other_objects_alone(track):
    first, _ = track(prompts={"0": [CAT | {"id": 1}], "2": [BALL]})
    assert [set(frame) for frame in first] == [{1}, {1}, {1, 2}]
    later, end = track(from_frame=1, prompts={"1": [{"id": 1, "box": [60, 150, 130, 250]}]})
    assert end["detail"] == f"2 objects in {FRAMES} frames: cat 1, ball 2"
    assert [frame.get(2) for frame in later] == [frame.get(2) for frame in first[1:]]
    assert later[0][1]["label"] == "cat" and later[0][1] != first[1][1]


def test_a_cancelled_run_goes_on(track, monkeypatch):
    def add_one_frame(job, record):
        told(job, record)
        job.cancel()

    told = Job.add_frame
    with monkeypatch.context() as impatient:
        impatient.setattr(Job, "add_frame", add_one_frame)
        begun, end = track(prompts={"0": [CAT]})
    assert end["state"] == "cancelled" and len(begun) == 1
    whole, end = track()
    assert end["detail"] == f"1 object in {FRAMES} frames: cat 4"
    assert [set(frame) for frame in whole] == [{4}] * FRAMES and whole[:1] == begun


def frame(index: int = 0, **columns) -> TrackedFrame:
    """A frame of 2×8 pixels; `o3=(1, 5)` is object 3 from column 1 to before 5."""
    masks = np.zeros((len(columns), 2, 8), bool)
    for mask, (first, last) in zip(masks, columns.values()):
        mask[:, first:last] = True
    found = sv.Detections(
        xyxy=np.array([[first, 0, last, 2] for first, last in columns.values()], np.float32).reshape(-1, 4),
        mask=masks,
        confidence=np.ones(len(columns), np.float32),
        tracker_id=np.array([int(name[1:]) for name in columns], int),
        data={"class_name": np.array(["it"] * len(columns), str)},
    )
    return TrackedFrame(index, 0.0, None, found)


def record(index: int = 0, **columns):
    return parse_record(record_of(frame(index, **columns)), (2, 8))


def merged(new: TrackedFrame, old, **change) -> dict[str, tuple[int, int]]:
    found = merge(new, old, Change(**{"known": frozenset({1, 2}), "prompted": {}, **change})).detections
    assert np.array_equal(found.xyxy, frame(**columns_of(found)).detections.xyxy)
    return columns_of(found)


def columns_of(found) -> dict[str, tuple[int, int]]:
    """The reverse of `frame`."""
    return {
        f"o{number}": (int(np.flatnonzero(mask[0])[0]), int(np.flatnonzero(mask[0])[-1]) + 1)
        for number, mask in zip(found.tracker_id, found.mask)
    }


def test_earlier_objects_keep_their_pixels():
    old = record(o1=(0, 4))
    assert merged(frame(o1=(0, 2), o3=(3, 8)), old) == {"o1": (0, 4), "o3": (4, 8)}
    assert merged(frame(o3=(1, 5)), old) == {"o1": (0, 4)}  # it lies mostly on object 1
    assert merged(frame(o2=(4, 8)), old) == {"o1": (0, 4)}  # hidden there in the earlier result, and so it stays


def test_what_the_visitor_points_at_comes_first():
    old = record(o1=(0, 4), o2=(4, 8))
    assert merged(frame(o1=(0, 6), o2=(7, 8)), old, prompted={1: 0}) == {"o1": (0, 6), "o2": (6, 8)}
    assert merged(frame(o3=(2, 6)), old, prompted={3: 0}) == {"o1": (0, 2), "o2": (6, 8), "o3": (2, 6)}
    assert merged(frame(o1=(0, 6)), old, prompted={1: 5}) == {"o1": (0, 4), "o2": (4, 8)}  # it is corrected later


def test_what_ends_and_what_the_earlier_result_does_not_reach():
    assert merged(frame(o1=(0, 2), o2=(2, 4)), record(o1=(0, 4)), ended=frozenset({1})) == {}
    assert merged(frame(o1=(0, 2), o2=(2, 4), o3=(4, 8)), None, ended=frozenset({1})) == {"o2": (2, 4), "o3": (4, 8)}


def test_earlier_records_are_read_once_and_in_order():
    earlier = Earlier(iter([record(index) for index in (0, 1, 2, 4)]))
    assert [one.index for one in earlier.up_to(1)] == [0, 1]
    assert earlier.at(2).index == 2 and earlier.at(3) is None
    assert [one.index for one in earlier.up_to(float("inf"))] == [4]

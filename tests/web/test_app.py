"""Sessions, segmenting and tracking over HTTP, against the truth of the samples."""

import io
import json
import os
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import vidseg
from tests.web.conftest import SAMPLES, TestClient, begin, beginning_of_park, run
from vidseg.io.clip import Clip
from vidseg.tracks.file import read_tracks
from vidseg.tracks.rle import decode_mask
from vidseg.web.app import create_app
from vidseg.web.jobs import Job
from vidseg.web.sessions import FOLDER_PREFIX


def truth(name: str, index: int) -> dict[str, list[np.ndarray]]:
    """True masks of a sample's frame, by label."""
    found = next(frame for frame in read_tracks(SAMPLES / f"{name}.truth.jsonl") if frame.index == index).detections
    masks = {}
    for _, mask, *_, data in found:
        masks.setdefault(str(data["class_name"]), []).append(mask)
    return masks


def iou(code: dict, mask: np.ndarray) -> float:
    other = decode_mask(code)
    return (other & mask).sum() / (other | mask).sum()


def decoded(content: bytes) -> np.ndarray:
    """A picture: grey, RGB or RGBA."""
    return np.asarray(Image.open(io.BytesIO(content)))


def test_the_api_describes_itself(client):
    info = client.get("/api/info").json()
    assert info["version"] == vidseg.__version__ and not info["token_needed"] and len(info["palette"]) == 12
    assert info["codecs"] == {"mp4": ["h264", "h265", "vp9", "av1"], "webm": ["vp9", "av1"], "gif": []}
    assert "/api/sessions/{session}/media/{media}/track" in client.get("/openapi.json").json()["paths"]


def test_text_on_an_image(client, visitor):
    media = client.post(f"{visitor}/media?name=desk.png", content=(SAMPLES / "desk.png").read_bytes()).json()
    assert (media["kind"], media["width"], media["height"], media["frame_count"]) == ("image", 960, 640, 1)
    answer = client.post(
        f"{visitor}/media/{media['media']}/segment", json={"text": "laptop. lamp", "first_id": 5}
    ).json()
    assert {one["label"] for one in answer["objects"]} == {"laptop", "lamp"} and {
        one["id"] for one in answer["objects"]
    } == {5, 6}
    for one in answer["objects"]:
        assert iou(one["mask"], truth("desk", 0)[one["label"]][0]) > 0.75


def test_threshold_of_text_on_an_image(client, visitor):
    assert client.get("/api/info").json()["box_threshold"] == 0.35
    media = client.post(f"{visitor}/samples/desk.png").json()["media"]

    def ask(**more):
        return client.post(f"{visitor}/media/{media}/segment", json={"text": "car", **more})

    usual = ask().json()
    assert usual["objects"] == ask(box_threshold=None).json()["objects"] == [] and 0.2 < usual["best_score"] < 0.35
    assert ask(box_threshold=0.2).json()["objects"] and ask(box_threshold=0.99).json()["objects"] == []
    assert [ask(box_threshold=value).status_code for value in (-0.1, 1.1, "much")] == [422] * 3


def test_threshold_of_text_on_a_clip(client, visitor):
    media = client.post(f"{visitor}/media?name=a.mp4", content=beginning_of_park(4)).json()["media"]
    for threshold, found in ((None, False), (0.03, True)):
        body = {"text": "airplane", "box_threshold": threshold}
        job = client.post(f"{visitor}/media/{media}/track", json=body).json()["job"]
        frames, end = run(client, visitor, job)
        assert any(frame["objects"] for frame in frames) is found
        assert found or end["detail"] == "nothing was found in 4 frames (best score 0.04, see the threshold)"


def test_clicks_are_the_same_as_in_python(client, visitor, model):
    media = client.post(f"{visitor}/samples/desk.png").json()["media"]
    prompt = {"id": 3, "points": [[300, 300], [40, 40]], "point_labels": [1, 0]}
    (one,) = client.post(f"{visitor}/media/{media}/segment", json={"prompts": [prompt]}).json()["objects"]
    expected = model.segment(SAMPLES / "desk.png", prompts=[prompt]).detections
    assert one["id"] == 3 and np.array_equal(decode_mask(one["mask"]), expected.mask[0])


def test_a_click_on_what_the_text_finds(client, visitor):
    place = f"{visitor}/media/{client.post(f'{visitor}/samples/desk.png').json()['media']}/segment"
    ys, xs = np.nonzero(truth("desk", 0)["clock"][0])
    prompt = {"id": 2, "points": [[float(np.median(xs)), float(np.median(ys))]]}
    for new, expected in ((False, {10: "cup", 11: "clock"}), (True, {2: "clock", 10: "cup"})):
        wanted = {"text": "cup. clock", "prompts": [prompt | {"new": new}], "first_id": 10}
        objects = client.post(place, json=wanted).json()["objects"]
        assert {one["id"]: one["label"] for one in objects} == expected


def test_any_frame_of_a_clip(client, visitor):
    media = client.post(f"{visitor}/samples/park.mp4").json()["media"]
    frames = {
        frame.index: frame.image for frame in Clip(SAMPLES / "park.mp4").frames() if frame.index in (0, 7, 100, 191)
    }
    for index in (100, 7, 0, 191, 7):
        answer = client.get(f"{visitor}/media/{media}/frames/{index}")
        picture = decoded(answer.content)
        assert np.abs(picture.astype(int) - frames[index]).mean() < 4
    assert client.get(f"{visitor}/media/{media}/frames/192").status_code == 416
    assert client.get(f"{visitor}/media/{media}/frames/-1").status_code == 416


def upload_park(client, visitor, frames: int) -> str:
    """Path of the first frames of the park."""
    answer = client.post(f"{visitor}/media?name=park.mp4", content=beginning_of_park(frames))
    return f"{visitor}/media/{answer.json()['media']}"


def test_tracking_correcting_and_taking_away(client, visitor):
    place = upload_park(client, visitor, 26)
    assert client.post(f"{place}/track", json={"from_frame": 3}).status_code == 409  # nothing to correct yet
    frames, end = run(client, visitor, client.post(f"{place}/track", json={"text": "dog. cat"}).json()["job"])
    assert end["state"] == "done" and [frame["index"] for frame in frames] == list(range(26))
    cat = next(one for one in frames[12]["objects"] if one["label"] == "cat")
    assert iou(cat["mask"], truth("park", 12)["cat"][0]) > 0.75

    ball = truth("park", 18)["ball"][0]
    ys, xs = np.nonzero(ball)
    added = {"id": 9, "label": "ball", "box": [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]}
    ys, xs = np.nonzero(truth("park", 18)["cat"][0])
    corrected = {"id": 12, "points": [[float(np.median(xs)), float(np.median(ys))]]}  # lies on the cat
    wanted = {"text": "dog. cat", "from_frame": 18, "prompts": {"18": [added, corrected]}}
    later, end = run(client, visitor, client.post(f"{place}/track", json=wanted).json()["job"])
    assert [frame["index"] for frame in later] == list(range(18, 26))
    assert {one["id"] for one in later[0]["objects"]} == {one["id"] for one in frames[17]["objects"]} | {9}
    assert next(one["label"] for one in later[0]["objects"] if one["id"] == cat["id"]) == "cat"
    assert iou(next(one for one in later[0]["objects"] if one["id"] == 9)["mask"], ball) > 0.6
    same = next(one for one in later[-1]["objects"] if one["id"] == cat["id"])
    assert iou(same["mask"], truth("park", 25)["cat"][0]) > 0.6

    wanted = {"kind": "tracks", "labels": {"9": "toy"}, "without": [cat["id"]]}
    job = client.post(f"{place}/results", json=wanted).json()["job"]
    assert run(client, visitor, job)[1]["file"] == "park.tracks.jsonl"
    header, *lines = map(json.loads, client.get(f"{visitor}/jobs/{job}/file").text.splitlines())
    assert header["clip"] == "park.mp4" and [line["frame"] for line in lines] == list(range(26))
    labels = {one["id"]: one["label"] for line in lines for one in line["objects"]}
    assert labels[9] == "toy" and cat["id"] not in labels
    assert lines[10]["objects"][0]["mask"] in [one["mask"] for one in frames[10]["objects"]]
    for kind, name in (
        ("overlay", "park.tracked.mp4"),
        ("masks", "park.masks.zip"),
        ("davis", "park.davis.zip"),
        ("coco", "park.coco.json"),
    ):
        job = client.post(f"{place}/results", json={"kind": kind}).json()["job"]
        assert run(client, visitor, job)[1]["file"] == name
        answer = client.get(f"{visitor}/jobs/{job}/file")
        assert answer.status_code == 200 and f'filename="{name}"' in answer.headers["content-disposition"]
        if kind == "masks":
            archive = zipfile.ZipFile(io.BytesIO(answer.content))
            mask = decoded(archive.read(f"mask-{cat['id']}/000012.png"))
            assert np.array_equal(mask > 0, decode_mask(cat["mask"]))


def result(client, visitor, place, **wanted) -> tuple[str, bytes]:
    """Name and content of a file that has been made."""
    job = client.post(f"{place}/results", json=wanted).json()["job"]
    end = run(client, visitor, job)[1]
    assert end["state"] == "done", end
    return end["file"], client.get(f"{visitor}/jobs/{job}/file").content


EXPORTED_ALIKE = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("yolo-seg", "parquet")]  # as coco is
CAT = {"id": 4, "label": "cat", "box": [60, 150, 165, 250]}


@pytest.fixture
def short(client, visitor) -> str:
    """Path of the first 20 frames of the park, in which CAT has been tracked."""
    place = upload_park(client, visitor, 20)
    assert (
        run(client, visitor, client.post(f"{place}/track", json={"prompts": {"0": [CAT]}}).json()["job"])[1]["done"]
        == 20
    )
    return place


def test_results_of_a_clip_are_made_as_render_and_export_do(client, visitor, short, tmp_path):
    place = short
    for wrong in (
        {"style": ["glitter"]},
        {"background": "red", "style": ["spotlight"]},
        {"background": "nocolour"},
        {"background": "../x.png"},
        {"opacity": 2},
        {"file": "png"},
        {"frame": 3},
        {"file": "gif", "codec": "h264"},
        {"file": "webm", "codec": "h264"},
        {"crf": 60},
        {"background_image": place.rpartition("/")[2]},
    ):
        assert client.post(f"{place}/results", json={"kind": "overlay", "drawing": wrong}).status_code == 422, wrong
    name, content = result(
        client,
        visitor,
        place,
        kind="overlay",
        drawing={"background": "red", "height": 90, "side_by_side": True, "file": "gif"},
    )
    assert name == "park.tracked.gif"
    (tmp_path / name).write_bytes(content)
    first = next(iter(Clip(tmp_path / name).frames())).image
    assert first.shape[:2] == (90, 320) and np.abs(first[2:20, 300:318].astype(int) - (255, 0, 0)).max() < 40
    picture = cv2.imencode(".png", np.full((60, 80, 3), (0, 200, 0), np.uint8))[1].tobytes()
    green = client.post(f"{visitor}/media?name=green.png", content=picture).json()["media"]
    name, content = result(
        client, visitor, place, kind="overlay", drawing={"background_image": green, "file": "png", "frame": 7}
    )
    still = decoded(content)
    assert name == "park.frame7.png" and still.shape[:2] == (360, 640) and (still[5, 630] == (0, 200, 0)).all()
    assert (
        client.post(f"{place}/results", json={"kind": "overlay", "drawing": {"background_image": "none"}}).status_code
        == 404
    )
    sizes = []
    for crf in (10, 45):
        name, content = result(client, visitor, place, kind="overlay", drawing={"codec": "h265", "crf": crf})
        sizes.append(len(content))
        assert name == "park.tracked.mp4" and b"hvc1" in content
    assert sizes[0] > 2 * sizes[1]
    name, content = result(client, visitor, place, kind="coco", sampling={"every": 8, "images": True})
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert name == "park.coco.zip" and sorted(Path(one).name for one in archive.namelist() if one.endswith(".jpg")) == [
        f"park_{index:06d}.jpg" for index in (0, 8, 16)
    ]
    described = json.loads(archive.read("result.coco.json"))
    assert {one["file_name"] for one in described["images"]} <= {
        one.removeprefix("result.images/").removeprefix("result.coco.images/") for one in archive.namelist()
    }


def test_a_correction_that_is_cancelled_at_once_keeps_the_tracks(client, visitor, short):
    place = short
    before = result(client, visitor, place, kind="tracks")[1]
    server = client.app.state.server
    with server.model_lock.hold():  # the run waits for it
        job = client.post(f"{place}/track", json={"from_frame": 10, "prompts": {"10": [CAT]}}).json()["job"]
        until(lambda: client.get(f"{visitor}/jobs/{job}").json()["state"] == "running")
        client.delete(f"{visitor}/jobs/{job}")
    assert run(client, visitor, job)[1]["state"] == "cancelled"
    assert result(client, visitor, place, kind="tracks")[1] == before


def test_results_of_an_image_have_what_is_on_the_page(client, visitor):
    place = f"{visitor}/media/{client.post(f'{visitor}/samples/desk.png').json()['media']}"
    objects = client.post(f"{place}/segment", json={"text": "laptop. cup"}).json()["objects"]
    objects[0]["label"] = "notebook"
    for kind, name in (
        ("overlay", "desk.segmented.png"),
        ("cutout", "desk.cutout.png"),
        ("masks", "desk.masks.zip"),
        ("coco", "desk.coco.json"),
    ):
        job = client.post(f"{place}/results", json={"kind": kind, "objects": objects}).json()["job"]
        assert run(client, visitor, job)[1]["file"] == name
        content = client.get(f"{visitor}/jobs/{job}/file").content
        if kind == "cutout":
            alpha = decoded(content)[..., 3]
            assert np.array_equal(alpha > 127, np.any([decode_mask(one["mask"]) for one in objects], 0))
        if kind == "coco":
            assert {category["name"] for category in json.loads(content)["categories"]} == {"notebook", "cup"}
    objects[0]["mask"]["size"] = [5, 5]
    job = client.post(f"{place}/results", json={"kind": "overlay", "objects": objects}).json()["job"]
    assert run(client, visitor, job)[1]["state"] == "failed"


def test_cancel_stops_the_work_and_keeps_what_was_made(client, visitor):
    place = f"{visitor}/media/{client.post(f'{visitor}/samples/park.mp4').json()['media']}"
    job = client.post(f"{place}/track", json={"text": "dog"}).json()["job"]
    waiting = client.post(f"{visitor}/samples/park.mp4").json()["media"]
    queued = client.post(f"{visitor}/media/{waiting}/track", json={"text": "dog"}).json()["job"]
    assert client.post(f"{place}/track", json={"text": "dog"}).status_code == 409
    until(lambda: client.get(f"{visitor}/jobs/{job}").json()["done"] > 5)
    assert client.get(f"{visitor}/jobs/{queued}").json()["state"] == "queued"
    assert client.delete(f"{visitor}/jobs/{queued}").json()["state"] == "cancelled"
    client.delete(f"{visitor}/jobs/{job}")
    frames, end = run(client, visitor, job)
    assert end["state"] == "cancelled" and 5 < len(frames) < 192
    result = client.post(f"{place}/results", json={"kind": "tracks"}).json()["job"]
    run(client, visitor, result)
    assert len(client.get(f"{visitor}/jobs/{result}/file").text.splitlines()) == len(frames) + 1


@pytest.mark.parametrize("kind", ["overlay", "masks", "coco", *EXPORTED_ALIKE])
def test_a_result_can_be_stopped_on_the_way(client, visitor, short, monkeypatch, kind):
    """It is cancelled after five frames of twenty, and there is neither a sixth nor a file."""
    told = Job.progress

    def progress(job, done, total):
        if done == 5:
            job.cancel()
        told(job, done, total)

    monkeypatch.setattr(Job, "progress", progress)
    job = client.post(f"{short}/results", json={"kind": kind}).json()["job"]
    end = run(client, visitor, job)[1]
    assert (end["state"], end["done"], end["total"]) == ("cancelled", 5, 20)
    assert client.get(f"{visitor}/jobs/{job}/file").status_code in (404, 409)


def test_a_listener_that_comes_back_goes_on_where_it_was(client, visitor):
    job = client.post(f"{upload_park(client, visitor, 20)}/track", json={"prompts": {"15": [CAT]}}).json()["job"]
    frames, _ = run(client, visitor, job)
    assert [frame["index"] for frame in frames] == list(range(20))
    text = client.get(f"{visitor}/jobs/{job}/events", headers={"Last-Event-ID": "18"}).text
    assert text.count("event: frame") == 2 and "event: end" in text


def test_two_visitors_do_not_see_each_other(client):
    one, other = begin(client), begin(client)
    media = client.post(f"{one}/samples/desk.png").json()["media"]
    assert client.get(f"{one}/media/{media}/frames/0").status_code == 200
    assert client.get(f"{other}/media/{media}/frames/0").status_code == 404
    assert client.delete(one).status_code == 204
    assert client.get(f"{one}/media/{media}/frames/0").status_code == 404


def test_the_token(model):
    with TestClient(create_app(model, token="sesame")) as client:
        assert client.get("/api/info").json()["token_needed"]
        assert client.post("/api/sessions").status_code == 401
        assert client.post("/api/sessions", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.post("/api/sessions", headers={"Authorization": "Bearer sesame"}).status_code == 201


def test_pages_elsewhere_begin_no_session(client):
    assert client.post("/api/sessions", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/api/sessions", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 201


def test_other_names_of_this_machine_are_refused(model):
    with TestClient(create_app(model, hosts=["localhost"]), base_url="http://evil.example") as client:
        assert client.get("/api/info").status_code == 400


def test_idle_sessions_and_their_files_go(model):
    app = create_app(model, idle_s=2.0)
    with TestClient(app) as client:
        visitor, folder = begin(client), app.state.server.sessions.folder
        media = client.post(f"{visitor}/samples/desk.png").json()["media"]
        client.post(f"{visitor}/media/{media}/segment", json={"prompts": [{"id": 1, "points": [[9, 9]]}]})
        assert list(folder.iterdir())
        until(lambda: not list(folder.iterdir()))
        assert len(app.state.server.sessions) == 0 and not app.state.server._embedded
        assert client.post(f"{visitor}/samples/desk.png").status_code == 404
    assert not folder.exists()


def test_what_a_killed_server_left_behind_is_removed(model, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(gone, 0)
    left, other, own = (
        tmp_path / f"{FOLDER_PREFIX}{name}" for name in (f"{gone}-abc", "holiday-photos", f"{os.getppid()}-abc")
    )
    same = tmp_path / f"{FOLDER_PREFIX}{os.getpid()}-abc"  # of a container that was killed: the next one has its number
    for folder in (left, other, own, same):
        folder.mkdir()
    with TestClient(create_app(model)) as client:
        assert not left.exists() and other.exists() and own.exists() and not same.exists()
        with TestClient(create_app(model)):
            assert client.app.state.server.sessions.folder.exists()  # of this process, and in use


def until(what, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)

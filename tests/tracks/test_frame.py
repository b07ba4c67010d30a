import numpy as np
import supervision as sv

from vidseg.tracks.file import TracksWriter, read_tracks
from vidseg.tracks.frame import ClassIds, TrackedFrame, empty_detections, mask_bounds


def test_empty_detections_are_those_of_a_frame_without_objects(tmp_path):
    found = empty_detections(48, 64)
    header = dict.fromkeys(("clip", "frame_rate", "time_base", "prompts", "models", "vidseg"), "")
    with TracksWriter(tmp_path / "t.jsonl", {"width": 64, "height": 48, **header}) as tracks:
        tracks.write(TrackedFrame(0, 0.0, None, found))
    (back,) = read_tracks(tmp_path / "t.jsonl")
    for other in (found, back.detections):
        assert len(other) == 0 and other.mask is not None and other.mask.shape == (0, 48, 64)
        assert other.mask.dtype == bool and other.xyxy.shape == (0, 4) and other.xyxy.dtype == np.float32
        assert other.confidence is not None and other.confidence.dtype == np.float32
        assert other.tracker_id is not None and other.tracker_id.dtype == int
        assert other.class_id is not None and other.class_id.dtype == int and other.class_id.shape == (0,)
        assert np.asarray(other.data["class_name"]).dtype.kind == "U"
    assert not sv.MaskAnnotator().annotate(np.zeros((48, 64, 3), np.uint8), found).any()


def test_mask_bounds_against_a_plain_account():
    random = np.random.default_rng(0)
    masks = [random.random(random.integers(1, 30, 2)) < 0.1 for _ in range(50)]
    for mask in [*filter(np.any, masks), np.ones((3, 5), bool), np.eye(4, dtype=bool)]:
        pixels = [(x, y) for y, row in enumerate(mask) for x, inside in enumerate(row) if inside]
        xs, ys = zip(*pixels)
        assert mask_bounds(mask) == (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
    assert all(type(value) is int for value in mask_bounds(np.ones((3, 5), bool)))


def test_class_ids_are_the_place_in_the_prompt_then_the_order_of_appearance():
    classes = ClassIds(["dog", "ball", "dog"])
    assert classes.number(["ball", "cat"]).tolist() == [1, 2]
    assert classes.number([]).dtype == int
    assert classes.number(["Dog", "dog", "cat", "object"]).tolist() == [3, 0, 2, 4]
    assert ClassIds().number(np.array(["b", "a", "b"])).tolist() == [0, 1, 0]

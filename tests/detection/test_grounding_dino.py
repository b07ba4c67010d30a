"""The detector around Grounding DINO, and its reading of phrases, against transformers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
import torch

from tests.support.standins import last_bias, save_grounding_dino
from vidseg.detection.base import best_score, best_scores
from vidseg.detection.grounding_dino import GroundingDino, load_detector, suppress
from vidseg.detection.phrases import encode_phrases, name_boxes
from vidseg.detection.thresholds import DetectionThresholds
from vidseg.errors import InputError, ModelError
from vidseg.io.images import read_image

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "vidseg" / "demo" / "detector"


def confidences(found: sv.Detections) -> np.ndarray:
    assert found.confidence is not None
    return found.confidence


def test_duplicates_are_dropped_within_a_phrase_and_twins_across_phrases():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9.5], [0, 0, 10, 7], [50, 50, 60, 60]], np.float32)
    found = sv.Detections(boxes, confidence=np.array([0.5, 0.9, 0.6, 0.4, 0.3]), class_id=np.array([0, 0, 1, 1, 0]))
    assert confidences(suppress(found, 0.6)).tolist() == [0.9, 0.3]
    some = sv.Detections(boxes[[1, 3]], confidence=np.array([0.9, 0.4]), class_id=np.array([0, 1]))
    assert confidences(suppress(some, 0.6)).tolist() == [0.9, 0.4]  # 0.78: two different things


# -- a small random model --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Grounding DINO with random weights whose boxes are of one size, and which reads short texts alone."""
    from transformers import GroundingDinoForObjectDetection

    folder = save_grounding_dino(tmp_path_factory.mktemp("grounding-dino"))
    model = GroundingDinoForObjectDetection.from_pretrained(folder)
    with torch.no_grad():
        for head in model.bbox_embed:
            last_bias(head).copy_(torch.tensor([0.0, 0.0, 0.4, 0.3]))
    model.config.max_text_len = 32
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def detector(folder):
    return load_detector(folder, thresholds=DetectionThresholds(box=0.0, nms=1.0))


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (90, 130, 3), np.uint8)


def test_phrases_are_encoded_as_the_processor_encodes_their_text(detector):
    phrases = ["Dog", "red ball", "x-ray"]
    (text,) = encode_phrases(phrases, detector.processor.tokenizer, 32)
    assert list(text.ids) == detector.processor.tokenizer("dog. red ball. x-ray.")["input_ids"]
    assert [b - a for a, b in text.spans] == [3, 7, 5]


def test_long_lists_are_split_and_overlong_phrases_refused(detector):
    tokenizer = detector.processor.tokenizer
    texts = encode_phrases(["abcdefgh"] * 7, tokenizer, 32)
    assert [(len(t.ids), len(t.spans), t.first) for t in texts] == [(29, 3, 0), (29, 3, 3), (11, 1, 6)]
    with pytest.raises(InputError, match="shorten"):
        encode_phrases(["x" * 30], tokenizer, 32)
    with pytest.raises(InputError, match="not one phrase"):
        encode_phrases(["dog. cat"], tokenizer, 32)


@pytest.mark.parametrize("phrases", [["red ball"], ["dog", "red ball"]])
def test_boxes_and_scores_agree_with_transformers(detector, image, phrases):
    processor, model = detector.processor, detector.model
    inputs = processor(images=image, text=". ".join(phrases) + ".", return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    delimiters = torch.isin(inputs["input_ids"][0], torch.tensor([101, 102, 1012]))
    outputs.logits[0, :, : len(delimiters)][:, delimiters] = -torch.inf  # no words; a trained model leaves them dark
    token_probs = outputs.logits[0].sigmoid()
    threshold = float(token_probs.amax(1).median())
    want = processor.post_process_grounded_object_detection(
        outputs, inputs["input_ids"], threshold=threshold, text_threshold=0.25, target_sizes=[image.shape[:2]]
    )[0]
    assert len(want["scores"]) == 30

    (text,) = encode_phrases(phrases, processor.tokenizer, 32)
    queries, _, scores, best = name_boxes(token_probs, text.spans, threshold, 0.25)
    assert queries.tolist() == (token_probs.amax(1) > threshold).nonzero()[:, 0].tolist()
    assert best == pytest.approx(float(want["scores"].max()))
    if len(phrases) == 1:  # with two, the better phrase may not be the one of the strongest token
        torch.testing.assert_close(scores, want["scores"])

    # All the way through, with the suppression that transformers leaves to its user.
    found = GroundingDino(model, processor, thresholds=DetectionThresholds(box=threshold, nms=1.0)).detect(
        image, phrases
    )
    height, width = image.shape[:2]
    boxes = want["boxes"].clamp(min=0).minimum(torch.tensor([width, height, width, height]))
    order = np.argsort(-scores.numpy(), kind="stable")
    kept = suppress(
        sv.Detections(boxes.numpy()[order], confidence=scores.numpy()[order], class_id=np.zeros(30, int)), 1.0
    )
    np.testing.assert_allclose(found.xyxy, kept.xyxy, atol=1e-3)
    np.testing.assert_allclose(confidences(found), confidences(kept), rtol=1e-5)


def test_result_carries_the_users_spelling(detector, image):
    found = detector.detect(image, ["Dog", "Red Ball"])
    assert found.xyxy.dtype == found.confidence.dtype == np.float32
    assert len(found) > 0
    assert set(found.class_id) <= {0, 1}
    assert list(found.data["class_name"]) == [["Dog", "Red Ball"][i] for i in found.class_id]
    assert (np.diff(found.confidence) <= 0).all()
    assert (found.xyxy >= 0).all() and (found.xyxy <= [130, 90, 130, 90]).all()
    assert best_score(found) == pytest.approx(found.confidence.max(), rel=1e-6)


@pytest.mark.parametrize("phrases", [["dog"], ["dog", "red ball"], ["abcdefgh", "ijklmnop", "qrstuvwx", "yz"]], ids=str)
def test_result_tells_the_best_score_of_each_phrase(detector, image, phrases):
    found = detector.detect(image, phrases)  # the last list takes two texts
    best = best_scores(found, phrases)
    assert len(found.metadata["best_scores"]) == len(phrases) and max(best) == pytest.approx(best_score(found))
    for place, score in enumerate(best):
        assert score >= found.confidence[found.class_id == place].max(initial=0) - 1e-6 and 0 < score <= 1


def test_nothing_found_still_tells_the_best_score(detector, image):
    strict = GroundingDino(detector.model, detector.processor, thresholds=DetectionThresholds(box=1.0))
    found = strict.detect(image, ["dog"])
    assert len(found) == 0
    assert np.shape(found.data["class_name"]) == (0,)
    assert 0 < best_score(found) < 1


def test_cached_text_changes_nothing_and_saves_the_text_backbone(folder, image):
    detector = load_detector(folder, thresholds=DetectionThresholds(box=0.0))
    backbone, calls = detector.model.model.text_backbone, []
    backbone.register_forward_hook(lambda *_: calls.append(1))
    first = detector.detect(image, ["dog", "cat"])
    again = detector.detect(image, ["dog", "cat"])
    assert len(calls) == 1
    np.testing.assert_array_equal(first.xyxy, again.xyxy)
    np.testing.assert_array_equal(first.confidence, again.confidence)
    detector.detect(image, ["cow"])
    assert len(calls) == 2
    assert detector.model.model.text_backbone is backbone

    (text,) = detector._encode(["dog", "cat"])
    inputs = detector.processor(images=image, text="dog. cat.", return_tensors="pt")
    with torch.inference_mode():
        plain = detector.model(**inputs)
        logits, boxes = detector._forward(inputs, text)
    torch.testing.assert_close(logits, plain.logits[0, :, : len(text.ids)], rtol=0, atol=0)
    torch.testing.assert_close(boxes, plain.pred_boxes[0], rtol=0, atol=0)


def test_long_lists_find_what_their_parts_find(detector, image):
    phrases = ["abcdefgh", "ijklmnop", "qrstuvwx", "yz"]  # the fourth goes to a second text
    found = detector.detect(image, phrases)
    assert 3 in found.class_id
    alone = detector.detect(image, ["yz"])
    both = set(map(tuple, alone.xyxy.round(2))) & set(map(tuple, found.xyxy[found.class_id == 3].round(2)))
    assert both


def test_bfloat16_is_close(folder, detector, image):
    exact = detector.detect(image, ["dog"])
    rough = load_detector(folder, dtype="bfloat16", thresholds=DetectionThresholds(box=0.0, nms=1.0)).detect(
        image, ["dog"]
    )
    assert rough.xyxy.dtype == np.float32
    assert abs(confidences(rough).max() - confidences(exact).max()) < 0.05


@pytest.mark.parametrize(
    "bad", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((9, 9, 4), np.uint8)]
)
def test_strange_images_are_refused(detector, bad):
    with pytest.raises(InputError, match="uint8 RGB"):
        detector.detect(bad, ["dog"])


@pytest.mark.parametrize("height", [2, 8])  # resized to nothing, to fewer tokens than queries
def test_ribbon_of_an_image_is_refused(detector, height):
    with pytest.raises(InputError, match="too narrow"):
        detector.detect(np.zeros((height, 600, 3), np.uint8), ["dog"])


def test_a_string_is_no_list_of_phrases(detector, image):
    with pytest.raises(InputError, match="parse_phrases"):
        detector.detect(image, "dog")


# -- loading ---------------------------------------------------------------------------------------------------------


def broken(folder, tmp_path, change):
    copy = tmp_path / "broken"
    shutil.copytree(folder, copy)
    change(copy)
    return copy


def cut_weights(copy):
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])


def drop_a_weight(copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    weights.pop("model.text_projection.weight")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda copy: (copy / "config.json").unlink(), "no config.json"),
        (lambda copy: (copy / "config.json").write_text("{"), "cannot be read"),
        (lambda copy: (copy / "config.json").write_text('{"model_type": "bert"}'), "'bert'"),
        (lambda copy: (copy / "model.safetensors").unlink(), "safetensors"),
        (lambda copy: (copy / "tokenizer.json").write_text("{}"), "Cannot load"),
        (cut_weights, "Cannot load"),
        (drop_a_weight, "1 weights are missing"),
    ],
)
def test_broken_folders_are_refused_in_one_line(folder, tmp_path, change, message):
    with pytest.raises(ModelError, match=message) as caught:
        load_detector(broken(folder, tmp_path, change))
    assert "\n" not in str(caught.value)


def test_missing_folder_is_not_looked_up_on_the_hub(tmp_path):
    with pytest.raises(ModelError, match="no detector folder"):
        load_detector(tmp_path / "nowhere")


# -- the bundled checkpoint ------------------------------------------------------------------------------------------


def test_demo_detector_finds_every_sprite_of_the_sample():
    image = read_image(ROOT / "samples" / "desk.png")
    lines = (ROOT / "samples" / "desk.truth.jsonl").read_text(encoding="utf-8").splitlines()
    truth = json.loads(lines[1])["objects"]
    phrases = sorted({thing["label"] for thing in truth})
    found = load_detector(DEMO).detect(image, [*phrases, "zeppelin"])
    names = np.asarray(found.data["class_name"])
    for thing in truth:
        same = names == thing["label"]
        assert same.any(), thing["label"]
        assert max(iou(box, thing["box"]) for box in found.xyxy[same]) > 0.6, thing["label"]
    assert "zeppelin" not in names


def iou(a, b):
    inner = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return inner / (np.prod(np.subtract(a[2:], a[:2])) + np.prod(np.subtract(b[2:], b[:2])) - inner)

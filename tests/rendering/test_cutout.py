"""Cut-outs, mattes and other backgrounds, decoded again."""

import av
import cv2
import numpy as np
import pytest

from tests.rendering.test_render import tracked
from tests.support.clips import make_clip, read_png, sound_packets
from vidseg.errors import InputError, OutputError
from vidseg.io.clip import Clip
from vidseg.rendering.cutout import composite, cut_out, load_background, soft_alpha
from vidseg.rendering.render import render
from vidseg.tracks.file import TracksWriter, read_tracks
from vidseg.tracks.frame import TrackedFrame

SIZE = (162, 120)
FRAMES = 12


def paint(index, width, height):
    x = np.linspace(0, 3, width)[None, :, None] + np.linspace(0, 2, height)[:, None, None] + 0.05 * index
    return (127 + 100 * np.sin(x + np.arange(3))).astype(np.uint8)


def write_tracks(path, clip, masks_of, label="dog"):
    """Tracks with the masks N×H×W that `masks_of` gives for each frame's index."""
    with Clip(clip) as source:
        info = source.info
        header = {
            "clip": str(clip),
            "width": info.width,
            "height": info.height,
            "frame_rate": str(info.frame_rate),
            "time_base": str(info.time_base),
            "prompts": [],
            "models": {},
            "vidseg": "0",
        }
        with TracksWriter(path, header) as tracks:
            for frame in source.frames():
                masks = masks_of(frame.index)
                boxes = [
                    (x, y, x + w, y + h) for x, y, w, h in (cv2.boundingRect(mask.astype(np.uint8)) for mask in masks)
                ]
                found = tracked(
                    (info.width, info.height), boxes, range(1, len(boxes) + 1), [label] * len(boxes)
                ).detections
                found.mask = np.array(masks, bool).reshape(-1, info.height, info.width)
                tracks.write(TrackedFrame(frame.index, frame.time, None, found))
    return path


def masks_at(index, size=SIZE):
    """A disc with a hole that moves out at the right, and a blot of dots and thin lines; none on frames 5 and 6."""
    disc, blot = np.zeros((2, size[1], size[0]), np.uint8)
    if index not in (5, 6):
        cv2.circle(disc, (60 + 10 * index, 50), 30, 1, -1)
        cv2.circle(disc, (60 + 10 * index, 50), 8, 0, -1)
        blot[90:100:2, 10:60] = 1
        blot[100:110:3, 10:60:4] = 1
    return [mask for mask in (disc, blot) if mask.any()]


def union(index, size=SIZE):
    return np.any([np.zeros(size[::-1], bool), *masks_at(index, size)], axis=0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("cutout") / "a.mp4"
    return make_clip(path, [512 * i for i in range(FRAMES)], size=SIZE, audio="aac", paint=paint)


@pytest.fixture(scope="module")
def tracks(clip, tmp_path_factory):
    return write_tracks(tmp_path_factory.mktemp("tracks") / "t.jsonl", clip, masks_at)


def decoded(path, decoder=None):
    """H×W×4 uint8 arrays of a video with alpha; FFmpeg's own decoder of VP9 drops it, libvpx's keeps it."""
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        context = av.CodecContext.create(decoder, "r") if decoder else stream.codec_context
        frames = [frame for packet in source.demux(stream) for frame in context.decode(packet if packet.size else None)]
    images = []
    for frame in frames:  # colour and alpha are read apart: conversions of both at once are at fault at some widths
        kind, shift = (np.uint8, 0) if "p1" not in frame.format.name else (np.uint16, int(frame.format.name[-4:-2]) - 8)
        plane = frame.planes[3]
        alpha = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width] >> shift
        images.append(np.dstack([frame.reformat(format="rgb24", threads=1).to_ndarray(), alpha.astype(np.uint8)]))
    return images


def iou(a, b):
    return (a & b).sum() / (a | b).sum() if (a | b).any() else 1.0


@pytest.mark.parametrize(("name", "decoder", "least"), [("cut.mov", None, 1.0), ("cut.webm", "libvpx-vp9", 0.99)])
def test_alpha_decoded_again_is_the_mask(clip, tracks, tmp_path, name, decoder, least):
    assert render(clip, tracks, tmp_path / name, kind="cutout") is None
    images = decoded(tmp_path / name, decoder)
    source = [frame.image for frame in Clip(clip).frames()]
    assert len(images) == FRAMES and images[0].shape == (*SIZE[::-1], 4)
    for index, (image, original) in enumerate(zip(images, source)):
        mask = union(index)
        assert iou(image[..., 3] > 127, mask) >= least
        if index in (5, 6):
            assert image[..., 3].max() < 20
            continue
        inner = cv2.erode(masks_at(index)[0].astype(np.uint8), np.ones((5, 5))).astype(bool)
        assert image[..., 3][inner].min() > 235
        assert np.abs(image[..., :3][inner].astype(int) - original[inner]).mean() < 4
        far = ~cv2.dilate(mask.astype(np.uint8), np.ones((25, 25))).astype(bool)
        assert image[..., :3][far].max() < 40  # the background is not there, not merely transparent
    assert bool(sound_packets(tmp_path / name) if name == "cut.mov" else False) == (name == "cut.mov")


def test_prores_is_marked_as_such_and_keeps_odd_sizes(tmp_path):
    size = (97, 65)
    clip = make_clip(tmp_path / "odd.mkv", [0, 512, 1024], codec="ffv1", pixels="yuv444p", size=size, paint=paint)
    tracks = write_tracks(tmp_path / "t.jsonl", clip, lambda index: masks_at(index, size))
    render(clip, tracks, tmp_path / "cut.mov", kind="cutout")
    with av.open(str(tmp_path / "cut.mov")) as out:
        stream = out.streams.video[0]
        assert (
            stream.codec_context.name == "prores"
            and stream.codec_context.codec_tag == "ap4h"
            and (stream.width, stream.height) == size
        )
    for index, image in enumerate(decoded(tmp_path / "cut.mov")):
        assert np.array_equal(image[..., 3] > 127, union(index, size))
    render(clip, tracks, tmp_path / "cut.webm", kind="cutout")
    images = decoded(tmp_path / "cut.webm", "libvpx-vp9")
    assert len(images) == 3 and all(
        iou(image[:65, :97, 3] > 127, union(index, size)) > 0.98 for index, image in enumerate(images)
    )


def test_webm_says_that_it_has_alpha(clip, tracks, tmp_path):
    render(clip, tracks, tmp_path / "cut.webm", kind="cutout")
    with av.open(str(tmp_path / "cut.webm")) as out:
        assert {key.lower(): value for key, value in out.streams.video[0].metadata.items()}["alpha_mode"] == "1"


def test_a_matte_is_white_on_black(clip, tracks, tmp_path):
    assert render(clip, tracks, tmp_path / "matte.mp4", kind="matte") is None
    for frame in Clip(tmp_path / "matte.mp4").frames():
        mask = union(frame.index)
        assert iou(frame.image[..., 1] > 127, mask) > 0.98
        inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)
        outer = ~cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))).astype(bool)
        assert frame.image[outer].mean() < 3 and (not inner.any() or frame.image[inner].mean() > 250)


def test_soft_edges_are_a_pixel_wide_and_keep_the_mask():
    rng = np.random.default_rng(0)
    masks = [
        masks_at(0)[0],
        (rng.random((40, 60)) > 0.5).astype(np.uint8),
        np.ones((9, 9), np.uint8),
        np.zeros((9, 9), np.uint8),
    ]
    for mask in masks:
        alpha = soft_alpha(mask)
        assert alpha.dtype == np.uint8 and np.array_equal(alpha > 127, mask > 0)
        far_in = cv2.erode(mask, np.ones((3, 3)), borderValue=1) > 0
        far_out = cv2.dilate(mask, np.ones((3, 3))) == 0
        assert (alpha[far_in] == 255).all() and (alpha[far_out] == 0).all()
    square = np.zeros((20, 20), np.uint8)
    square[:, 10:] = 1
    assert soft_alpha(square)[10].tolist() == [0] * 9 + [64, 191] + [255] * 9


def test_composite_mixes_at_the_edge_only():
    image, background = np.full((4, 4, 3), 200, np.uint8), np.full((4, 4, 3), 100, np.uint8)
    alpha = np.zeros((4, 4), np.uint8)
    alpha[0], alpha[1] = 255, 51
    assert composite(image, alpha, background)[:, 0, 0].tolist() == [200, 120, 100, 100]
    assert cut_out(image, alpha)[0, 0].tolist() == [200, 200, 200, 255]


# --- backgrounds ---


def test_a_background_takes_the_place_of_what_is_behind(clip, tracks, tmp_path):
    for background, colour in (("navy", (0, 0, 128)), ("#30c010", (0x30, 0xC0, 0x10))):
        render(clip, tracks, tmp_path / "bg.mp4", background=background, crf=4, overwrite=True)
        for frame, source in zip(Clip(tmp_path / "bg.mp4").frames(), Clip(clip).frames(), strict=True):
            mask = union(frame.index).astype(np.uint8)
            outer = cv2.dilate(mask, np.ones((7, 7))) == 0
            assert np.abs(frame.image[outer].astype(int) - colour).mean() < 3
            inner = cv2.erode(mask, np.ones((7, 7))) > 0
            assert not inner.any() or np.abs(frame.image[inner].astype(int) - source.image[inner]).mean() < 4
    render(clip, tracks, tmp_path / "drawn.png", background="navy", style="box", frame=0)
    render(clip, tracks, tmp_path / "plain.png", background="navy", frame=0)
    drawn, plain = (read_png(tmp_path / name) for name in ("drawn.png", "plain.png"))
    assert (drawn != plain).any(axis=2).sum() > 100  # styles are drawn on top where they are asked for


@pytest.mark.parametrize("shape", [(50, 200, 3), (300, 40, 3), (120, 162, 3)])
def test_an_image_covers_the_frame_from_its_middle(tmp_path, shape):
    image = np.zeros(shape, np.uint8)
    image[:, : shape[1] // 2] = (0, 0, 255)  # left half red, as OpenCV has it
    cv2.imwrite(str(tmp_path / "bg.png"), image)
    background = load_background(tmp_path / "bg.png", *SIZE)
    assert background.shape == (120, 162, 3)
    assert background[60, 40].tolist() == [255, 0, 0] and background[60, 120].tolist() == [0, 0, 0]


def test_backgrounds_that_are_none(clip, tracks, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    for background, says in [
        ("nosuchcolour", "neither an image file nor a colour"),
        (tmp_path, "a folder"),
        (tmp_path / "text.png", "not an image"),
    ]:
        with pytest.raises(InputError, match=says):
            render(clip, tracks, tmp_path / "out.mp4", background=background)
    assert [path.name for path in tmp_path.iterdir()] == ["text.png"]


def test_cutouts_have_their_suffixes(clip, tracks, tmp_path):
    with pytest.raises(OutputError, match=r"a cutout is written as \.mov \.webm"):
        render(clip, tracks, tmp_path / "cut.mp4", kind="cutout")
    render(clip, tracks, tmp_path / "cut.png", kind="cutout", frame=2)
    image = read_png(tmp_path / "cut.png")
    assert image.shape == (120, 162, 4) and np.array_equal(image[..., 3] > 127, union(2))
    assert len(list(read_tracks(tracks))) == FRAMES

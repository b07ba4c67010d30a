"""One frame of this engine and of others', with random weights and full memory banks, for the benchmarks to time."""

from __future__ import annotations

SIZES = {"tiny": "t", "small": "s", "base-plus": "b+", "large": "l"}  # names of Meta's configs
FULL_BANK = 17  # number of the frame that is timed: six memories and fifteen pointers lie before it


def our_frame(network, pixels, count: int, dtype: str, compile: bool = False):
    """A call that propagates `count` objects with full banks by one frame."""
    import torch

    from vidseg.prompts.geometry import Box
    from vidseg.sam.memory import Memory
    from vidseg.sam.propagator import Propagator

    engine = Propagator(network, getattr(torch, dtype), compile)
    engine.prompt(engine.embed_tensor(pixels, 720, 1280), 0, {i: Box((300, 200, 700, 600)) for i in range(count)})

    def run() -> None:
        for bank in engine.banks.values():
            memory = bank.conditioning[0]
            for t in range(1, FULL_BANK):
                bank.add_recent(t, Memory(memory.features, memory.pointer))
            bank.recent.pop(FULL_BANK, None)
            bank.latest = FULL_BANK - 1
        engine.step(engine.embed_tensor(pixels, 720, 1280), FULL_BANK)

    return run


def stock_frame(predictor, pixels, count: int, dtype: str):
    """The same with the stock predictor: one encoding, then one object after another."""
    import pytest
    import torch

    from tests.support import stock

    with pytest.MonkeyPatch.context() as monkeypatch:
        state = stock.start(predictor, pixels.expand(FULL_BANK + 1, -1, -1, -1), 720, 1280, monkeypatch)
    for i in range(count):
        predictor.add_new_points_or_box(state, 0, i, box=(300, 200, 700, 600))
    predictor.propagate_in_video_preflight(state)
    for outputs in state["output_dict_per_obj"].values():
        outputs["non_cond_frame_outputs"] = dict.fromkeys(range(1, FULL_BANK), outputs["cond_frame_outputs"][0])

    def run() -> None:
        state["cached_features"] = {}
        with torch.inference_mode(), torch.autocast(pixels.device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            for outputs in state["output_dict_per_obj"].values():
                predictor._run_single_frame_inference(state, outputs, FULL_BANK, 1, False, None, None, False, True)

    return run


def transformers_frame(pixels, count: int, dtype: str):
    """The same with transformers' `Sam2VideoModel`, whose default config is hiera tiny."""
    import torch
    from transformers import Sam2VideoConfig, Sam2VideoModel
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    model, device = Sam2VideoModel(Sam2VideoConfig()).eval().to(pixels.device), pixels.device
    session = Sam2VideoInferenceSession(
        pixels.expand(FULL_BANK + 1, -1, -1, -1),
        720,
        1280,
        device,
        inference_state_device=device,
        video_storage_device=device,
        dtype=torch.float32,
    )
    for i in range(count):
        corners = {
            "point_coords": torch.tensor([[[[240.0, 284.0], [560.0, 853.0]]]], device=device),
            "point_labels": torch.tensor([[[2, 3]]], dtype=torch.int32, device=device),
        }
        session.add_point_inputs(session.obj_id_to_idx(i), 0, corners)
        session.obj_with_new_inputs.append(i)
    model(session, frame_idx=0)
    for outputs in session.output_dict_per_obj.values():
        outputs["non_cond_frame_outputs"] = dict.fromkeys(range(1, FULL_BANK), outputs["cond_frame_outputs"][0])

    def run() -> None:
        session.cache.clear_all()
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            model(session, frame_idx=FULL_BANK)

    return run

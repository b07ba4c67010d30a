"""The propagation engine: prompt objects on a frame, then carry their masks from frame to frame.

It runs on the modules of the `sam2` package but not on its `SAM2VideoPredictor`, which loads the whole clip and
takes one object after another. Here a frame is encoded once, all objects share that encoding, and those whose memory
banks have the same shape go through memory attention, mask decoder and memory encoder together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidseg.errors import InputError
from vidseg.prompts.geometry import Box, MaskPrompt, Points, Prompt
from vidseg.sam.bank_file import banks_from_state, read_state, shapes_of, state_of_banks, write_state
from vidseg.sam.batch import batch_limit, split_batches
from vidseg.sam.compiled import Compiled
from vidseg.sam.encoder import ImageEncoder
from vidseg.sam.frame import FrameFeatures, FrameMasks, join
from vidseg.sam.memory import Memory, MemoryBank, stack_memories
from vidseg.sam.postprocess import fill_holes
from vidseg.sam.prompting import clamp_logits, click_inputs, mask_at_input_size, without_memory
from vidseg.sam.step import Step
from vidseg.sam.still import Candidates, candidates
from vidseg.sam.upload import Upload

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

    from vidseg.io.clip import Frame

# ImageNet statistics, as every SAM 2 checkpoint expects them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Propagator:
    """Objects, each with its memory bank, on the frames of one clip.

    Use: `features = embed(image)`; then `prompt` for objects that are pointed at on this frame, `step` to carry all
    others over from the frames before. Frames are numbered; go through them in order, upwards or downwards.

    Args:
        network: from `vidseg.sam.build.build_sam`.
        dtype: torch.float32, or torch.bfloat16 to run the network under autocast.
        compile: whether to compile the image encoder, and the step of objects whose banks are full, when they are first
            needed. That takes minutes.
    """

    def __init__(self, network: SAM2Base, dtype: torch.dtype = torch.float32, compile: bool = False):
        self.network = network
        self.dtype = dtype
        self.device = network.maskmem_tpos_enc.device
        self._banks: dict[int, MemoryBank] = {}
        fused = self.device.type != "cpu"
        self._encoder = ImageEncoder(network, dtype, fused or compile)
        self._step = Step(network, dtype, fused)
        # A bank grows for its first frames, and every size would have to be compiled. From then on, if the object was
        # prompted once, it has as many memories and pointers as this.
        self._full = network.num_maskmem, network.max_obj_ptrs_in_encoder
        self._full_step = None
        if compile:
            self._encoder.compile()
            step = self._step if fused else Step(network, dtype, fused=True)
            self._full_step = Compiled(step.__call__, self.device)
        self._upload = Upload(self.device)
        self._mean, self._std = torch.tensor([MEAN, STD], device=self.device)[..., None, None]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    @torch.inference_mode()
    def embed(self, image: np.ndarray) -> FrameFeatures:
        """Encode one frame, [H, W, 3] uint8 RGB: the expensive part, done once whatever the number of objects.

        The frame is squeezed into a square with antialiased bicubic interpolation, as the stock video predictor does.
        """
        height, width = image.shape[:2]
        side = self.network.image_size
        pixels = self._upload(image).permute(2, 0, 1)[None].float()
        square = F.interpolate(pixels, (side, side), mode="bicubic", antialias=True).round().clamp(0, 255) / 255
        return self.embed_tensor((square - self._mean) / self._std, height, width)

    def prefetch(self, frames: Iterator[Frame]) -> Iterable[Frame]:
        """The same frames; on CUDA, each image is sent to the device while the caller works on the frame before it."""
        return self._upload.prefetch(frames)

    @torch.inference_mode()
    def embed_tensor(self, pixels: Tensor, height: int, width: int) -> FrameFeatures:
        """Encode a frame that is already [1, 3, S, S] float, normalised, at the network's own size S."""
        top, position, high_res = self._encoder(pixels)
        return FrameFeatures(height, width, top, position.flatten(2).transpose(1, 2), high_res)

    @torch.inference_mode()
    def prompt(
        self,
        features: FrameFeatures,
        index: int,
        prompts: Mapping[int, Prompt],
        reverse: bool = False,
        as_conditioning: bool = False,
    ) -> FrameMasks:
        """Point at objects on frame `index`, by id.

        An id that is new, or has not been propagated to this frame, starts afresh here: the frame becomes one of its
        conditioning frames and no memory is read. If the object has just been propagated to this very frame, the
        prompt corrects that result: memory and the mask so far are taken into account, and the corrected frame
        replaces the propagated one in memory. (Both as in `SAM2VideoPredictor.add_new_points_or_box`.)

        Args:
            features: the frame, encoded.
            index: number of the frame.
            prompts: what to point at, by object id.
            reverse: whether the frames run downwards.
            as_conditioning: whether a corrected frame becomes a conditioning frame, as in SAM 2's training, and is not
                forgotten a few frames later (`add_all_frames_to_correct_as_cond` of the stock predictor, off by default
                there).

        Returns:
            The masks of the prompted objects, in the order of `prompts`.
        """
        results = [
            self._prompt_one(features, index, i, prompt, reverse, as_conditioning) for i, prompt in prompts.items()
        ]
        return join(results)

    @torch.inference_mode()
    def candidates(
        self,
        features: FrameFeatures,
        prompt: Box | Points,
        mask_input: Tensor | None = None,
        multimask_output: bool | None = None,
    ) -> Candidates:
        """The masks that a prompt may mean on one frame alone, without any memory (see `vidseg.sam.still`)."""
        with self._autocast():
            return candidates(self.network, features, prompt, mask_input, multimask_output)

    def _prompt_one(
        self,
        features: FrameFeatures,
        index: int,
        object_id: int,
        prompt: Prompt,
        reverse: bool,
        as_conditioning: bool,
    ) -> FrameMasks:
        network = self.network
        bank = self._banks.get(object_id)
        if bank is None:
            bank = self._banks[object_id] = self._empty_bank()
        correction = bank.latest == index and index not in bank.conditioning
        with self._autocast():
            if isinstance(prompt, MaskPrompt):
                outputs = network._use_mask_as_output(
                    features.top, features.high_res, mask_at_input_size(network, prompt.mask, self.device)
                )
            else:
                clicks = click_inputs(network, features, prompt)
                if correction:
                    memories = stack_memories([bank], index, reverse, self.device)
                    fused = self._step.read(features.top, features.position, *memories)
                else:
                    fused = without_memory(network, features)
                earlier = bank.logits if bank.latest == index else None
                outputs = network._forward_sam_heads(
                    fused,
                    point_inputs=clicks,
                    mask_inputs=None if earlier is None else clamp_logits(earlier[None, None]),
                    high_res_features=features.high_res,
                    multimask_output=network._use_multimask(not correction, clicks),
                )
            _, _, ious, low_res, _, pointer, score = outputs
            low_res = fill_holes(low_res)
            # The frame is remembered as the user saw it: holes filled, clicks binarised.
            high_res = F.interpolate(
                low_res, (network.image_size, network.image_size), mode="bilinear", align_corners=False
            )
            written = self._step.write(features.top, high_res, score, binary=network.binarize_mask_from_pts_for_mem_enc)
        memory = Memory(written[0].clone(), pointer[0].clone())
        (bank.add_recent if correction and not as_conditioning else bank.add_conditioning)(index, memory)
        bank.latest, bank.logits = index, low_res[0, 0]
        return FrameMasks([object_id], low_res[:, 0], ious.float().amax(1), score[:, 0].float(), pointer.float())

    @torch.inference_mode()
    def step(self, features: FrameFeatures, index: int, reverse: bool = False) -> FrameMasks | None:
        """Carry every object to frame `index` that is not there yet, all in as few batches as their banks allow.

        Two objects share a batch when their banks hold the same number of memories and pointers, whatever frames
        those come from.

        Args:
            features: the frame, encoded.
            index: number of the frame.
            reverse: whether the frames run downwards.

        Returns:
            The masks of the objects that were carried (not of those prompted on this frame); None if there are none.
        """
        groups: dict[tuple[int, int], list[int]] = {}
        for object_id, bank in self._banks.items():
            if bank.latest != index:
                read = len(bank.spatial(index, reverse)), len(bank.object_pointers(index, reverse))
                groups.setdefault(read, []).append(object_id)
        results = []
        for (memories, pointers), ids in groups.items():
            size = batch_limit(self.network, memories, self.device)
            for batch in split_batches(ids, size, self._step_for(memories, pointers) is not self._step):
                results.append(self._step_batch(features, index, batch, reverse))
        return join(results) if results else None

    def _step_for(self, memories: int, pointers: int) -> Step | Compiled:
        """What carries objects with so many memories and pointers."""
        return self._full_step if self._full_step and (memories, pointers) == self._full else self._step

    def _step_batch(self, features: FrameFeatures, index: int, ids: list[int], reverse: bool) -> FrameMasks:
        banks = [self._banks[i] for i in ids]
        memories = stack_memories(banks, index, reverse, self.device)
        _, rows, pointers, _ = memories
        step = self._step_for(rows.shape[1], pointers.shape[1])
        with self._autocast():
            low_res, ious, scores, pointers, written = step(
                features.top, features.position, features.high_res, *memories
            )
        low_res = fill_holes(low_res)
        for bank, memory, pointer, logits in zip(banks, written, pointers, low_res):
            # Copies, so that a removed object frees its share of the batch.
            bank.add_recent(index, Memory(memory.clone(), pointer.clone()))
            bank.latest, bank.logits = index, logits[0].clone()
        return FrameMasks(ids, low_res[:, 0], ious.float().amax(1), scores[:, 0].float(), pointers.float())

    @property
    def banks(self) -> Mapping[int, MemoryBank]:
        """The memory bank of every object by id, to be read only."""
        return MappingProxyType(self._banks)

    @property
    def object_ids(self) -> list[int]:
        """Ids of all objects, in the order in which they came."""
        return list(self._banks)

    def __contains__(self, object_id: int) -> bool:
        return object_id in self._banks

    def transfer(self, source: int, target: int, index: int, keep_prompts: bool = True) -> None:
        """Let the bank of one object become that of another. The first object is gone afterwards.

        Args:
            source: id of an object that was prompted on frame `index`.
            target: id of the object that gets its bank; it may have none yet.
            index: number of the frame.
            keep_prompts: whether the target's own conditioning frames stay beside frame `index`. All else that it
                remembers is dropped either way.
        """
        bank = self._banks.pop(source)
        if keep_prompts and target in self._banks:
            prompted = bank.conditioning[index]
            bank.conditioning = dict(self._banks[target].conditioning)
            bank.add_conditioning(index, prompted)  # if there are too many, the one farthest from this frame goes
        self._banks[target] = bank

    def swap(self, a: int, b: int) -> None:
        """Exchange what two objects remember of the frames they were carried to. Each keeps its conditioning frames."""
        banks = self._banks
        banks[a], banks[b] = banks[b], banks[a]
        banks[a].conditioning, banks[b].conditioning = banks[b].conditioning, banks[a].conditioning

    def discard(self, object_id: int) -> None:
        """Forget an object, if it is there. The others are not touched."""
        self._banks.pop(object_id, None)

    def fork(self, ids: Sequence[int]) -> Propagator:
        """A propagator that shares the network, to carry some objects elsewhere on its own.

        It holds their conditioning frames, and their memory of the latest frame as if that had been prompted as well.
        """
        other = copy(self)
        other._banks = {}
        for object_id in ids:
            bank = self._banks[object_id]
            other._banks[object_id] = start = replace(
                self._empty_bank(), conditioning=dict(bank.conditioning), latest=bank.latest, logits=bank.logits
            )
            if bank.latest in bank.recent:
                start.add_conditioning(bank.latest, bank.recent[bank.latest])
        return other

    def state_dict(self) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        """The memory banks of all objects: tensors by name, on the CPU, and metadata that fits into JSON."""
        return state_of_banks(self._banks)

    def load_state_dict(self, tensors: Mapping[str, Tensor], metadata: Sequence[Mapping[str, Any]]) -> None:
        """Replace all objects with those of a `state_dict`; they go on exactly as they would have then.

        Raises:
            InputError: it is not the state of a propagator, or comes from a network with other sizes. Nothing changes.
        """
        self._banks = banks_from_state(tensors, metadata, self._empty_bank(), shapes_of(self.network), self.device)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the memory banks of all objects into a safetensors file. Raises OSError."""
        write_state(path, *self.state_dict())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Replace all objects with those of a file that `save` wrote.

        Raises:
            InputError: the file is something else, or comes from a network with other sizes. Nothing changes.
        """
        try:
            self.load_state_dict(*read_state(path))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def _empty_bank(self) -> MemoryBank:
        return MemoryBank(self.network.num_maskmem - 1, self.network.max_obj_ptrs_in_encoder - 1)

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
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidseg.prompts.geometry import Box, MaskPrompt, Points, Prompt, as_clicks
from vidseg.sam.bank_file import read_banks, write_banks
from vidseg.sam.batch import batch_limit, cut
from vidseg.sam.compiled import Compiled
from vidseg.sam.encoder import ImageEncoder
from vidseg.sam.frame import FrameFeatures, FrameMasks, join
from vidseg.sam.memory import Memory, MemoryBank
from vidseg.sam.postprocess import fill_holes
from vidseg.sam.step import Step
from vidseg.sam.still import Candidates, candidates
from vidseg.sam.upload import Upload, on_device

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

T = TypeVar("T")

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
        self.banks: dict[int, MemoryBank] = {}
        fused = self.device.type != "cpu"
        self._encoder = ImageEncoder(network, dtype, fused or compile)
        self._step = Step(network, dtype, fused)
        # An object's bank grows for its first frames, and every size would have to be compiled. It stays as it is from then
        # on, with as many memories and pointers as this, if the object was prompted once.
        self._full = network.num_maskmem, network.max_obj_ptrs_in_encoder
        self._full_step = None
        if compile:
            self._encoder.run = Compiled(self._encoder.run, self.device)
            self._full_step = Compiled(
                (self._step if fused else Step(network, dtype, fused=True)).__call__, self.device
            )
        self._upload = Upload(self.device)
        self._mean, self._std = torch.tensor([MEAN, STD], device=self.device)[..., None, None]

    def _autocast(self):
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

    def ahead(self, frames: Iterator[T]) -> Iterable[T]:
        """The same frames; on CUDA, the image of each is sent to the device while the caller works on the one before."""
        return self._upload.ahead(frames)

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
        lasting: bool = False,
    ) -> FrameMasks:
        """Point at objects on frame `index`, by id.

        An id that is new, or has not been propagated to this frame, starts afresh here: the frame becomes one of its
        conditioning frames and no memory is read. If the object has just been propagated to this very frame, the
        prompt corrects that result: memory and the mask so far are taken into account, and the corrected frame
        replaces the propagated one in memory. (Both as in `SAM2VideoPredictor.add_new_points_or_box`.)

        Args:
            lasting: whether a corrected frame becomes one of the conditioning frames, as in SAM 2's training, and is not
                forgotten a few frames later (`add_all_frames_to_correct_as_cond` of the stock predictor, off by default there).

        Returns:
            The masks of the prompted objects, in the order of `prompts`.
        """
        results = [self._prompt_one(features, index, i, prompt, reverse, lasting) for i, prompt in prompts.items()]
        return join(results)

    @torch.inference_mode()
    def candidates(
        self, features: FrameFeatures, prompt: Box | Points, before: Tensor | None = None, several: bool | None = None
    ) -> Candidates:
        """What a prompt may mean on a frame of which nothing is remembered, before or after (see `vidseg.sam.still`)."""
        with self._autocast():
            return candidates(self.network, features, prompt, before, several)

    def _prompt_one(self, features, index, object_id, prompt, reverse, lasting) -> FrameMasks:
        network = self.network
        bank = self.banks.get(object_id)
        if bank is None:
            bank = self.banks[object_id] = self._empty_bank()
        correction = bank.latest == index and index not in bank.conditioning
        with self._autocast():
            if isinstance(prompt, MaskPrompt):
                outputs = network._use_mask_as_output(features.top, features.high_res, self._network_mask(prompt.mask))
            else:
                xy, labels = as_clicks(prompt, features.height, features.width)
                clicks = {
                    "point_coords": torch.from_numpy(xy * network.image_size)[None].to(self.device),
                    "point_labels": torch.from_numpy(labels)[None].to(self.device),
                }
                fused = self._without_memory(features)
                if correction:
                    fused = self._step.read(features.top, features.position, *self._remembered(index, [bank], reverse))
                before = bank.logits[None, None].clamp(-32, 32) if bank.latest == index else None
                outputs = network._forward_sam_heads(
                    fused,
                    point_inputs=clicks,
                    mask_inputs=before,
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
        (bank.add_recent if correction and not lasting else bank.add_conditioning)(index, memory)
        bank.latest, bank.logits = index, low_res[0, 0]
        return FrameMasks([object_id], low_res[:, 0], ious.float().amax(1), score[:, 0].float(), pointer.float())

    @torch.inference_mode()
    def step(self, features: FrameFeatures, index: int, reverse: bool = False) -> FrameMasks | None:
        """Carry every object to frame `index` that is not there yet, all in as few batches as their banks allow.

        Two objects share a batch when their banks hold the same number of memories and pointers, whatever frames
        those come from.

        Returns:
            The masks of the objects that were carried over (not of those prompted on this frame); None if there are none.
        """
        groups: dict[tuple[int, int], list[int]] = {}
        for object_id, bank in self.banks.items():
            if bank.latest != index:
                read = len(bank.spatial(index, reverse)), len(bank.object_pointers(index, reverse))
                groups.setdefault(read, []).append(object_id)
        results = []
        for (memories, pointers), ids in groups.items():
            size = batch_limit(self.network, memories, self.device)
            for batch in cut(ids, size, self._step_for(memories, pointers) is not self._step):
                results.append(self._step_batch(features, index, batch, reverse))
        return join(results) if results else None

    def _step_for(self, memories: int, pointers: int) -> Step | Compiled:
        """What carries objects with so many memories and pointers."""
        return self._full_step if self._full_step and (memories, pointers) == self._full else self._step

    def _step_batch(self, features, index, ids, reverse) -> FrameMasks:
        banks = [self.banks[i] for i in ids]
        remembered = self._remembered(index, banks, reverse)
        _, rows, pointers, _ = remembered
        step = self._step_for(rows.shape[1], pointers.shape[1])
        with self._autocast():
            low_res, ious, scores, pointers, written = step(
                features.top, features.position, features.high_res, *remembered
            )
        low_res = fill_holes(low_res)
        for bank, memory, pointer, logits in zip(banks, written, pointers, low_res):
            # Copies, so that a removed object frees its share of the batch.
            bank.add_recent(index, Memory(memory.clone(), pointer.clone()))
            bank.latest, bank.logits = index, logits[0].clone()
        return FrameMasks(ids, low_res[:, 0], ious.float().amax(1), scores[:, 0].float(), pointers.float())

    def remove(self, object_id: int) -> None:
        """Forget an object. The others are not touched."""
        del self.banks[object_id]

    def branch(self, ids: Sequence[int]) -> Propagator:
        """An engine that shares the network, to carry some objects elsewhere on its own.

        It holds their prompts, and what they remember of their latest frame as if that had been prompted, too.
        """
        other = copy(self)
        other.banks = {}
        for object_id in ids:
            bank = self.banks[object_id]
            other.banks[object_id] = start = replace(
                self._empty_bank(), conditioning=dict(bank.conditioning), latest=bank.latest, logits=bank.logits
            )
            if bank.latest in bank.recent:
                start.add_conditioning(bank.latest, bank.recent[bank.latest])
        return other

    def save(self, path: str | os.PathLike) -> None:
        """Write the memory banks of all objects into a safetensors file. Raises OSError."""
        write_banks(path, self.banks)

    def restore(self, path: str | os.PathLike) -> None:
        """Take over the objects of a file written by `save`, in place of the present ones, exactly as they were.

        Raises InputError if the file is none, or comes from a network with other sizes.
        """
        network, cells = self.network, self.network.sam_image_embedding_size
        shapes = {
            "features": (network.mem_dim, cells, cells),
            "pointer": (network.hidden_dim,),
            "logits": (4 * cells, 4 * cells),
        }
        self.banks = read_banks(path, self._empty_bank(), shapes, self.device)

    def _empty_bank(self) -> MemoryBank:
        return MemoryBank(self.network.num_maskmem - 1, self.network.max_obj_ptrs_in_encoder - 1)

    def _without_memory(self, features: FrameFeatures) -> Tensor:
        """Features of a frame on which an object starts: [1, C, h, w]."""
        return features.top + self.network.no_mem_embed.permute(1, 2, 0)[..., None]

    def _remembered(self, index: int, banks: list[MemoryBank], reverse: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What frame `index` reads from B banks of one shape, as `Step.read` takes it: memories, their rows, pointers, distances."""
        spatial = [bank.spatial(index, reverse) for bank in banks]
        pointers = [bank.object_pointers(index, reverse) for bank in banks]
        return (
            torch.stack([torch.cat([memory.features.flatten(1) for _, memory in read], 1) for read in spatial]),
            on_device([[row for row, _ in read] for read in spatial], self.device),
            torch.stack([torch.stack([pointer for _, pointer in read]) for read in pointers]),
            on_device([[distance for distance, _ in read] for read in pointers], self.device),
        )

    def _network_mask(self, mask: np.ndarray) -> Tensor:
        """A mask prompt at the network's size: [1, 1, S, S] float 0 or 1."""
        side = self.network.image_size
        given = torch.from_numpy(np.asarray(mask, np.float32))[None, None].to(self.device)
        if given.shape[-2:] == (side, side):
            return given
        return (F.interpolate(given, (side, side), mode="bilinear", align_corners=False, antialias=True) >= 0.5).float()

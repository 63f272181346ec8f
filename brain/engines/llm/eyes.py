"""What a llama.cpp model sees with: an mmproj file, run by its library mtmd.

Encoding a picture takes from milliseconds to many seconds, so it is done on a thread of its own,
while replies go on. All else belongs to the engine's thread.
"""

from __future__ import annotations

import ctypes
import logging
import os
import queue
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from llama_cpp import llama_cpp as api
from llama_cpp import mtmd_cpp as mtmd
from numpy.typing import NDArray

from brain.engines.llm.native import NativeModel
from brain.engines.llm.native_log import heard, quiet_eyes
from brain.engines.llm.patches import Patch, cell_ids
from brain.engines.llm.pixels import unpacked
from brain.engines.ports import EngineFailed, EngineUnavailable
from brain.engines.room import gpu_shares_memory, room_for

_log = logging.getLogger("brain.engines.llm.llamacpp")

# Pictures that are kept as they were encoded: a few MB each. What has been read of them is in the
# context's own memory; this is for those that come again in another conversation or place.
_KEPT = 8
_PATIENCE_S = 4.0

Piece: TypeAlias = "list[int] | Patch"


class Eyes:
    """One mmproj file, for one model.

    `threads` of the encoder. `on_gpu`: where there is one. Raises `EngineUnavailable`.
    """

    def __init__(self, path: Path, model: NativeModel, *, threads: int, on_gpu: bool) -> None:
        self._path = path
        self._width = int(api.llama_model_n_embd_inp(model.handle))
        self.handle = _opened(path, model, threads=threads, on_gpu=on_gpu)
        self._several = bool(mtmd.mtmd_decode_use_mrope(self.handle))
        self._known: OrderedDict[bytes, list[Piece]] = OrderedDict()
        self._chunks: weakref.WeakKeyDictionary[Patch, Any] = weakref.WeakKeyDictionary()
        self._wanted: queue.SimpleQueue[tuple[Patch, Any, Callable[[], None]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    def look(self, picture: bytes, _number: int) -> list[Piece]:
        """What stands for `picture`, a JPEG or PNG, in a prompt: tokens, and patches that are not
        encoded yet. The same picture gives the same. Raises `EngineFailed`."""
        known = self._known.get(picture)
        if known is None:
            known = self._known[picture] = self._tokenized(picture)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(picture)
        return known

    def encode(self, patch: Patch, done: Callable[[], None]) -> None:
        """Have `patch` encoded, unless it is; `done` is called on the eyes' thread."""
        if patch.embeddings is not None or patch.failed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="eyes", daemon=True)
            self._thread.start()
        self._wanted.put((patch, self._chunks[patch], done))

    def close(self) -> None:
        """Free the memory, after what is being encoded; an encoder that hangs is left behind."""
        if self.handle is None:
            return
        self._wanted.put(None)
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)
            if self._thread.is_alive():
                _log.error("The eyes hang and are left behind.")
                return
        handle, self.handle = self.handle, None
        self._known.clear()
        mtmd.mtmd_free(handle)

    def _work(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            patch, chunk, done = wanted
            if patch.embeddings is None and not patch.failed:
                try:
                    patch.embeddings = self._encoded(patch, chunk)
                except Exception as error:  # noqa: BLE001 - a bad picture must not end the eyes
                    _log.exception("A picture could not be encoded.")
                    patch.failed = f"The picture could not be encoded: {error}."
            done()

    def _encoded(self, patch: Patch, chunk: Any) -> NDArray[np.float32]:
        if mtmd.mtmd_encode_chunk(self.handle, chunk) != 0:
            raise EngineFailed(f"llama.cpp can't encode it with {self._path.name}")
        out = mtmd.mtmd_get_output_embd(self.handle)
        embeddings: NDArray[np.float32] = np.ctypeslib.as_array(
            out, (len(patch.ids), self._width)
        ).copy()
        if not np.isfinite(embeddings).all():
            raise EngineFailed(f"{self._path.name} computes what isn't a number")
        return embeddings

    def _tokenized(self, picture: bytes) -> list[Piece]:
        pixels = np.ascontiguousarray(unpacked(picture))
        height, width, _ = pixels.shape
        data = pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        bitmap = mtmd.mtmd_bitmap_init(width, height, data)
        chunks = mtmd.mtmd_input_chunks_init()
        try:
            marker = mtmd.mtmd_default_marker()
            text = mtmd.mtmd_input_text(marker, len(marker), False, True)
            bitmaps = (ctypes.c_void_p * 1)(bitmap)
            if mtmd.mtmd_tokenize(self.handle, chunks, ctypes.byref(text), bitmaps, 1) != 0:
                raise EngineFailed(f"llama.cpp can't take a picture with {self._path.name}.")
            return [
                self._piece(mtmd.mtmd_input_chunks_get(chunks, index), picture, index)
                for index in range(mtmd.mtmd_input_chunks_size(chunks))
            ]
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
            mtmd.mtmd_bitmap_free(bitmap)

    def _piece(self, chunk: Any, picture: bytes, index: int) -> Piece:
        if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
            count = ctypes.c_size_t()
            tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
            return [int(token) for token in tokens[: count.value]]
        cells = int(mtmd.mtmd_input_chunk_get_n_tokens(chunk))
        offsets = np.arange(cells, dtype=np.int32)[None, :]
        moving = np.ones(1, np.int32)
        if self._several:
            offsets, moving = _offsets(mtmd.mtmd_input_chunk_get_tokens_image(chunk), cells)
        patch = Patch(
            ids=cell_ids(picture, index, cells),
            positions=int(mtmd.mtmd_input_chunk_get_n_pos(chunk)),
            offsets=offsets,
            moving=moving,
            whole=bool(mtmd.mtmd_decode_use_non_causal(self.handle, chunk)),
        )
        own = mtmd.mtmd_input_chunk_copy(chunk)
        self._chunks[patch] = own
        weakref.finalize(patch, mtmd.mtmd_input_chunk_free, own).atexit = False
        return patch


def _offsets(image: Any, cells: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Of a picture's cells in each of the four dimensions, and which of those count from where the
    picture begins: the last one doesn't."""
    at_0, at_1 = (
        [mtmd.mtmd_image_tokens_get_decoder_pos(image, begin, cell) for cell in range(cells)]
        for begin in (0, 1)
    )
    offsets = np.array([[getattr(at, axis) for at in at_0] for axis in "tyxz"], np.int32)
    moved = np.array([getattr(at_1[0], axis) for axis in "tyxz"], np.int32)
    return offsets, moved - offsets[:, 0]


def _opened(path: Path, model: NativeModel, *, threads: int, on_gpu: bool) -> Any:
    if not path.is_file():
        raise EngineUnavailable(
            f"There is no file {path}: LLM_MMPROJ_PATH names the mmproj file that came with the "
            "model of LLM_MODEL_PATH (empty: the model doesn't see)."
        )
    if not os.access(path, os.R_OK):
        raise EngineUnavailable(f"{path} may not be read by the user that the brain runs as.")
    if not on_gpu or gpu_shares_memory():
        room_for(
            path.stat().st_size, str(path), "leave LLM_MMPROJ_PATH empty, or stop what else runs"
        )
    quiet_eyes()
    params = mtmd.mtmd_context_params_default()
    params.use_gpu = on_gpu
    params.print_timings = False
    params.n_threads = threads
    # (It would encode the largest picture there can be; on a CPU that takes minutes.)
    params.warmup = False
    with heard() as told:
        handle = mtmd.mtmd_init_from_file(str(path).encode(), model.handle, params)
    if not handle:
        raise EngineUnavailable(
            f"llama.cpp can't see with {path}: {told.first_error or 'it does not say why'}. "
            "(LLM_MMPROJ_PATH goes with the model of LLM_MODEL_PATH; see brain models verify.)"
        )
    if not mtmd.mtmd_support_vision(handle):
        mtmd.mtmd_free(handle)
        raise EngineUnavailable(f"{path} is for hearing, not for seeing: see LLM_MMPROJ_PATH.")
    return handle

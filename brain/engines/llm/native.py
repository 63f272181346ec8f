"""The few calls of llama.cpp's C API that are needed here, typed, and owning their memory.

Everything in this module blocks and belongs to one thread, but `NativeContext.abort`.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as api
from numpy.typing import NDArray

from brain.engines.llm.native_log import heard, quiet
from brain.engines.ports import EngineFailed, EngineUnavailable
from brain.engines.room import gpu_shares_memory, room_for

_log = logging.getLogger("brain.engines.llm.llamacpp")

DECODED, NO_ROOM, ABORTED = 0, 1, 2
_SAMPLERS = 16


@dataclass(frozen=True)
class SettingNames:
    """The settings that errors tell people to change; the mind's, unless it is another engine."""

    model: str = "LLM_MODEL_PATH"
    context: str = "LLM_CONTEXT"


@dataclass(frozen=True)
class Entry:
    """One token of a batch: its place in its sequence, and whether the next one is asked for."""

    token: int
    position: int
    sequence: int
    wants_logits: bool


@cache
def _backend() -> None:
    """Once a process: quiet the library and start it."""
    # Where it gives up on the process it would first run gdb on it, which takes long and helps
    # nobody who isn't here.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    quiet()
    api.llama_backend_init()


def finds_gpu() -> bool:
    """Whether this llama.cpp can use a GPU, and finds one."""
    _backend()
    return bool(api.llama_supports_gpu_offload())


class NativeModel:
    """Weights and vocabulary of one GGUF file.

    `gpu_layers`: how many layers go to the GPU, -1 all. `tell` is told how far it is, 0..1, on this
    thread. Raises `EngineUnavailable`.
    """

    def __init__(
        self,
        path: Path,
        *,
        gpu_layers: int = 0,
        tell: Callable[[float], None] | None = None,
        names: SettingNames | None = None,
    ) -> None:
        self.names = names = names or SettingNames()
        if not path.is_file():
            found = f"{path} is a folder" if path.is_dir() else f"There is no model file {path}"
            raise EngineUnavailable(
                f"{found}: {names.model} names one GGUF file; brain models pull fetches those of "
                "the profile."
            )
        if not os.access(path, os.R_OK):
            raise EngineUnavailable(f"{path} may not be read by the user that the brain runs as.")
        _backend()
        # (Of a build for CUDA, too, `finds_gpu` is false where there is no device.)
        self.on_gpu: bool = bool(gpu_layers and finds_gpu())
        self._in_main_memory = not self.on_gpu or gpu_shares_memory()
        if self._in_main_memory:
            advice = f"take a smaller {names.model}, or stop what else runs on this machine"
            room_for(path.stat().st_size, str(path), advice)
        params = api.llama_model_default_params()
        params.n_gpu_layers = gpu_layers

        def on_progress(share: float, _data: object) -> bool:
            if tell is not None:
                tell(share)
            return True  # go on

        params.progress_callback = callback = api.llama_progress_callback(on_progress)
        with heard() as told:
            self.handle = api.llama_model_load_from_file(str(path).encode(), params)
        del callback  # kept until here: the library holds only its address
        if not self.handle:
            raise EngineUnavailable(
                f"llama.cpp can't load {path}: {told.first_error or 'it does not say why'}. (brain "
                "models verify finds a damaged file; less LLM_GPU_LAYERS takes less of a GPU.)"
            )
        if gpu_layers and not self.on_gpu:
            _log.warning(
                "LLM_GPU_LAYERS=%d, but this llama.cpp has no GPU support: %s runs on the CPU.",
                gpu_layers,
                path.name,
            )
        self.vocab = api.llama_model_get_vocab(self.handle)
        self.n_vocab: int = api.llama_vocab_n_tokens(self.vocab)
        self.trained_context: int = api.llama_model_n_ctx_train(self.handle)
        self.keeps_all_positions = not (
            api.llama_model_is_recurrent(self.handle) or api.llama_model_is_hybrid(self.handle)
        )
        self._pads_with_space = api.llama_vocab_type(self.vocab) == api.LLAMA_VOCAB_TYPE_SPM
        self._pieces: dict[int, bytes] = {}
        self._samplers: OrderedDict[Hashable, Any] = OrderedDict()

    def sampler(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """A copy of the sampler that `make` makes, once for each of the last few keys; the caller
        frees the copy. To read a grammar takes ten times as long as to copy it."""
        made = self._samplers.pop(key, None) or make()
        if not made:
            return made
        self._samplers[key] = made
        if len(self._samplers) > _SAMPLERS:
            api.llama_sampler_free(self._samplers.popitem(last=False)[1])
        return api.llama_sampler_clone(made)

    def room_for_context(self, cells: int) -> None:
        """Raises `EngineUnavailable` if the keys and values of so many tokens find no memory.

        16 bits each, of all layers. A GPU's own memory says so itself, and so do models that keep
        something else of the past.
        """
        if not (self._in_main_memory and self.keeps_all_positions):
            return
        heads = api.llama_model_n_head_kv(self.handle)
        width = self._number("attention.key_length") + self._number("attention.value_length")
        needed = 2 * cells * api.llama_model_n_layer(self.handle) * heads * width
        room_for(needed, f"A context of {cells} tokens", f"lower {self.names.context}")

    def _number(self, name: str) -> int:
        """Of the file's own account of the model; the width of a head where it isn't told."""
        architecture = self._told("general.architecture")
        told = self._told(f"{architecture}.{name}")
        if told.isdigit():
            return int(told)
        heads = max(1, int(api.llama_model_n_head(self.handle)))
        width: int = api.llama_model_n_embd(self.handle) // heads
        return width

    def _told(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(64)
        found = api.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if found >= 0 else ""

    @property
    def chat_template(self) -> str | None:
        """The chat template in the file, if there is one."""
        template = api.llama_model_chat_template(self.handle, None)
        return template.decode("utf-8", "replace") if template else None

    @property
    def bos(self) -> int | None:
        """The token that begins every prompt, where the model wants one."""
        token = int(api.llama_vocab_bos(self.vocab))
        return (
            token if api.llama_vocab_get_add_bos(self.vocab) and self._is_control(token) else None
        )

    def spelling(self, token: int) -> str:
        """The token's text in the vocabulary, control tokens too."""
        text = api.llama_vocab_get_text(self.vocab, token)
        return text.decode("utf-8", "replace") if text else ""

    def bos_and_eos(self) -> tuple[str, str]:
        """How the two tokens are spelt in templates; empty where there is none."""
        ends = (api.llama_vocab_bos(self.vocab), api.llama_vocab_eos(self.vocab))
        bos, eos = (self.spelling(token) if self._is_control(token) else "" for token in ends)
        return bos, eos

    def _is_control(self, token: int) -> bool:
        # A vocabulary that names no such token has an ordinary one in its place.
        return token >= 0 and bool(
            api.llama_vocab_get_attr(self.vocab, token) & api.LLAMA_TOKEN_ATTR_CONTROL
        )

    def special_tokens(self) -> tuple[dict[str, int], dict[str, int]]:
        """Control tokens and user-defined tokens, spelling to id."""
        control: dict[str, int] = {}
        defined: dict[str, int] = {}
        for token in range(self.n_vocab):
            attributes = api.llama_vocab_get_attr(self.vocab, token)
            if attributes & api.LLAMA_TOKEN_ATTR_CONTROL:
                control[self.spelling(token)] = token
            elif attributes & api.LLAMA_TOKEN_ATTR_USER_DEFINED:
                defined[self.spelling(token)] = token
        return control, defined

    def tokenize(self, text: str, *, special: bool, continues: bool = False) -> list[int]:
        """Token ids of `text`; with `special`, spellings of control tokens become those tokens.

        User-defined tokens are found either way: llama.cpp knows no other. `continues`: it stands
        right after other text.
        """
        data = text.encode("utf-8", "replace")
        if not (continues and self._pads_with_space and data):
            return self._tokenize(data, special)
        # SentencePiece puts a space before whatever it is given. In the middle of a prompt that
        # space would be false: a line break, which merges with nothing, takes it and is cut off.
        guard = self._tokenize(b"\n", False)
        tokens = self._tokenize(b"\n" + data, special)
        return tokens[len(guard) :] if tokens[: len(guard)] == guard else tokens

    def _tokenize(self, data: bytes, special: bool) -> list[int]:
        size = len(data) + 8
        buffer = (api.llama_token * size)()
        count = api.llama_tokenize(self.vocab, data, len(data), buffer, size, False, special)
        if count < 0:
            buffer = (api.llama_token * -count)()
            count = api.llama_tokenize(self.vocab, data, len(data), buffer, -count, False, special)
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """The bytes of a token as they are read, those of control tokens included."""
        known = self._pieces.get(token)
        if known is not None:
            return known
        size = 64
        buffer = ctypes.create_string_buffer(size)
        count = api.llama_token_to_piece(self.vocab, token, buffer, size, 0, True)
        if count < 0:
            buffer = ctypes.create_string_buffer(-count)
            count = api.llama_token_to_piece(self.vocab, token, buffer, -count, 0, True)
        piece = bytes(buffer.raw[: max(count, 0)])
        self._pieces[token] = piece
        return piece

    def ends_generation(self, token: int) -> bool:
        """Whether a reply ends with `token`."""
        return bool(api.llama_vocab_is_eog(self.vocab, token))

    def close(self) -> None:
        """Free the weights. Contexts on them have been closed before."""
        while self._samplers:
            api.llama_sampler_free(self._samplers.popitem()[1])
        handle, self.handle = self.handle, None
        if handle:
            api.llama_model_free(handle)


@dataclass(frozen=True)
class ContextShape:
    """Sizes of a context: `cells` tokens in all, shared by `sequences` conversations.

    `flash_attention` None: off on a CPU, where to read what is in memory for a few tokens takes ten
    times as long with it; on a GPU as llama.cpp decides.
    """

    cells: int
    sequences: int
    batch: int
    threads: int
    flash_attention: bool | None = None


class NativeContext:
    """The working memory of a model: what several sequences of tokens left in it.

    Where there are cells enough for each sequence to be as long as the model can look back, each
    has its `own_cells`; else they share all of them, and a token takes the longer the more the
    others hold. Raises `EngineUnavailable` if there isn't enough memory.
    """

    def __init__(self, model: NativeModel, shape: ContextShape) -> None:
        model.room_for_context(shape.cells)
        params = api.llama_context_default_params()
        params.n_ctx = shape.cells
        params.n_batch = params.n_ubatch = shape.batch
        params.n_seq_max = shape.sequences
        params.n_threads = params.n_threads_batch = shape.threads
        self.own_cells = (
            model.keeps_all_positions
            and 0 < model.trained_context <= shape.cells // shape.sequences
            and shape.sequences > 1
        )
        params.kv_unified = not self.own_cells
        params.no_perf = True
        flash = shape.flash_attention
        if flash is None and not model.on_gpu:
            flash = False
        if flash is not None:
            params.flash_attn_type = int(flash)
        with heard() as told:
            self.handle = api.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise EngineUnavailable(
                f"llama.cpp can't make a context of {shape.cells} tokens "
                f"({told.first_error or 'it does not say why'}): lower {model.names.context}."
            )
        self.names = model.names
        self.cells: int = api.llama_n_ctx(self.handle)
        self._memory = api.llama_get_memory(self.handle)
        self._batch = api.llama_batch_init(shape.batch, 0, 1)
        self._tokens = np.ctypeslib.as_array(self._batch.token, (shape.batch,))
        self._positions = np.ctypeslib.as_array(self._batch.pos, (shape.batch,))
        self._logits = np.ctypeslib.as_array(self._batch.logits, (shape.batch,))
        self._sequences = [self._batch.seq_id[index] for index in range(shape.batch)]
        np.ctypeslib.as_array(self._batch.n_seq_id, (shape.batch,))[:] = 1
        self._abort_flag = ctypes.create_string_buffer(2)
        self._abort_callback = _without_python()
        api.llama_set_abort_callback(
            self.handle, self._abort_callback, ctypes.cast(self._abort_flag, ctypes.c_void_p)
        )

    def decode(self, entries: Sequence[Entry]) -> int:
        """Run the model over `entries`: `DECODED`, `NO_ROOM` or `ABORTED`.

        After `NO_ROOM` the memory is as it was; after `ABORTED` a part of the entries may be in it
        (`length` tells). Raises `EngineFailed`.
        """
        for index, entry in enumerate(entries):
            self._tokens[index] = entry.token
            self._positions[index] = entry.position
            self._logits[index] = entry.wants_logits
            self._sequences[index][0] = entry.sequence
        self._batch.n_tokens = len(entries)
        outcome = int(api.llama_decode(self.handle, self._batch))
        if outcome in (DECODED, NO_ROOM, ABORTED):
            return outcome
        raise EngineFailed(f"llama.cpp failed to decode (code {outcome}).")

    def show(
        self,
        embeddings: NDArray[np.float32],
        positions: NDArray[np.int32],
        sequence: int,
        *,
        whole: bool,
    ) -> int:
        """Run the model over cells of a picture; the outcomes are those of `decode`.

        `embeddings` float32 [n, width], `positions` int32 [dimensions, n], both contiguous.
        `whole`: each of them sees all the others. Raises `EngineFailed`.
        """
        count = len(embeddings)
        place: Any = (api.llama_seq_id * 1)(sequence)
        batch: Any = api.llama_batch()
        batch.n_tokens = count
        batch.embd = embeddings.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        batch.pos = positions.ctypes.data_as(ctypes.POINTER(api.llama_pos))
        batch.n_seq_id = (ctypes.c_int32 * count)(*[1] * count)
        batch.seq_id = (ctypes.POINTER(api.llama_seq_id) * (count + 1))(*[place] * count)
        batch.logits = (ctypes.c_int8 * count)()
        if whole:
            api.llama_set_causal_attn(self.handle, False)
        try:
            outcome = int(api.llama_decode(self.handle, batch))
        finally:
            if whole:
                api.llama_set_causal_attn(self.handle, True)
        if outcome in (DECODED, NO_ROOM, ABORTED):
            return outcome
        raise EngineFailed(f"llama.cpp failed to decode a picture (code {outcome}).")

    def logits(self, index: int, n_vocab: int) -> NDArray[np.float32]:
        """float32 [n_vocab] after entry `index` of the last batch; valid until the next one.

        Raises `EngineFailed` for what isn't a number: of it, the samplers would make any token.
        """
        pointer = api.llama_get_logits_ith(self.handle, index)
        if not pointer:
            raise EngineFailed("llama.cpp gave no logits.")
        values = np.ctypeslib.as_array(pointer, (n_vocab,))
        if not np.isfinite(values.max()):  # (That of anything with a NaN is a NaN.)
            raise EngineFailed(
                "The language model computes what isn't a number: the file of "
                f"{self.names.model} may be damaged (see brain models verify)."
            )
        return values

    def abort(self) -> None:
        """Stop the `decode` under way, on a CPU within a few ms. From any thread."""
        self._abort_flag[0] = b"\x01"

    def allow(self) -> None:
        """Take `abort` back."""
        self._abort_flag[0] = b"\x00"

    def length(self, sequence: int) -> int:
        """The position after the last token of `sequence` that is in memory."""
        return int(api.llama_memory_seq_pos_max(self._memory, sequence)) + 1

    def cut(self, sequence: int, length: int) -> bool:
        """Forget what is from position `length` on; False if it can't forget only a part."""
        return bool(api.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def share(self, source: int, target: int, length: int) -> None:
        """Give what `source` has before position `length` to the empty `target` too: for no cells,
        or, where each has its own, as a copy, made before the next `decode`."""
        if self.own_cells:
            api.llama_memory_seq_cp(self._memory, source, target, -1, -1)
            self.cut(target, length)
        else:
            api.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def close(self) -> None:
        """Free the memory."""
        handle, self.handle = self.handle, None
        if handle:
            api.llama_batch_free(self._batch)
            api.llama_free(handle)


def _without_python() -> Any:
    """An abort callback that needs no Python: it says yes once the first byte of its data is set.

    llama.cpp asks it before each of hundreds of steps a token; a Python function would wait for
    the interpreter's lock each time. `strlen` of a two-byte buffer is the very function wanted.
    """
    return ctypes.cast(ctypes.CDLL(None).strlen, api.ggml_abort_callback)

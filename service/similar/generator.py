"""Writes a text with a local ONNX model: greedy, without a cache of past tokens, in a thread of low priority.

A folder as `optimum-cli export onnx` writes it: `tokenizer.json`, `config.json`, and `model.onnx` (gpt2 and the like,
task text-generation), or `encoder_model.onnx` with `decoder_model.onnx` (t5, bart; task text2text-generation).
"""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.errors import TicketRouterError
from service.similar.vectors import lower_priority

MOST_TOKENS = 160
"""Of a draft."""
MOST_SECONDS = 30.0
PROMPT_TOKENS = 512
"""Most tokens of a prompt that the model reads; its own limit may be lower."""
_LIMITS = ("n_positions", "max_position_embeddings")
_Ids = NDArray[np.int64]


class GeneratorError(TicketRouterError):
    """The folder holds no model that can be used."""


@dataclass(frozen=True, slots=True)
class _Network:
    """`encoder`: None for a decoder alone, which reads the prompt itself. `most_tokens`: prompt and draft together."""

    decoder: ort.InferenceSession
    encoder: ort.InferenceSession | None
    start: tuple[int, ...]
    ends: frozenset[int]
    most_tokens: int


class Generator:
    """Use from one event loop only."""

    def __init__(self, tokenizer: Tokenizer, network: _Network) -> None:
        self._tokenizer = tokenizer
        self._network = network
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="generator", initializer=lower_priority)
        self._closed = False

    def close(self) -> None:
        """A text that is being written is cut off."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def write(self, text: str, example: str) -> str:
        """An answer to this text. `example`: an answer to a similar one, or empty."""
        parts = ["Customer:", text, *(["Answer to a similar message:", example] if example else []), "Answer:"]
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._write, "\n".join(parts))

    def _write(self, prompt: str) -> str:
        network = self._network
        ids = self._tokenizer.encode(prompt).ids
        room = network.most_tokens if network.encoder is not None else network.most_tokens - MOST_TOKENS
        # The end stays: it asks for the answer.
        ids = ids[-max(1, min(PROMPT_TOKENS, room)) :]
        if network.encoder is None:
            written = self._continued(list(ids), {})
        else:
            source = {"input_ids": _row(ids), "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
            hidden = network.encoder.run(None, _wanted(network.encoder, source))[0]
            source_mask = source["attention_mask"]
            written = self._continued(
                list(network.start), {"encoder_hidden_states": hidden, "encoder_attention_mask": source_mask}
            )
        return str(self._tokenizer.decode(written, skip_special_tokens=True)).strip()

    def _continued(self, ids: list[int], source: dict[str, NDArray[Any]]) -> list[int]:
        network, first = self._network, len(ids)
        until = time.monotonic() + MOST_SECONDS
        most = min(first + MOST_TOKENS, network.most_tokens)
        while len(ids) < most and time.monotonic() < until and not self._closed:
            feed = {
                "input_ids": _row(ids),
                "attention_mask": np.ones((1, len(ids)), dtype=np.int64),
                "position_ids": np.arange(len(ids), dtype=np.int64)[None],
                **source,
            }
            logits = network.decoder.run(["logits"], _wanted(network.decoder, feed))[0]
            best = int(np.argmax(logits[0, -1]))
            if best in network.ends:
                break
            ids.append(best)
        return ids[first:]


def open_generator(folder: Path) -> Generator:
    """Load the model. Takes seconds, so call it in a thread.

    Raises:
        GeneratorError: the message is one line that says what is missing.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
        tokenizer = Tokenizer.from_buffer((folder / "tokenizer.json").read_bytes())
        ends = config["eos_token_id"]
        ends = frozenset(ends if isinstance(ends, list) else [ends])
        limits = [int(config[name]) for name in _LIMITS if config.get(name)]
        start = config.get("decoder_start_token_id")
    except OSError as error:
        raise GeneratorError(f"{folder}: no generator: {Path(str(error.filename)).name} cannot be read") from error
    except Exception as error:  # tokenizers raises bare Exception on a file it cannot read
        raise GeneratorError(f"{folder}: config.json or tokenizer.json is damaged, or names no end of text") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    is_pair = (folder / "encoder_model.onnx").is_file()
    if is_pair and not isinstance(start, int):
        raise GeneratorError(f"{folder}/config.json: names no decoder_start_token_id")
    decoder = _session(folder / ("decoder_model.onnx" if is_pair else "model.onnx"))
    encoder = _session(folder / "encoder_model.onnx") if is_pair else None
    most_tokens = min([PROMPT_TOKENS + MOST_TOKENS, *limits])
    if most_tokens <= MOST_TOKENS and not is_pair:
        raise GeneratorError(
            f"{folder}: the model reads {most_tokens} tokens at most, too few for a prompt and a draft"
        )
    return Generator(tokenizer, _Network(decoder, encoder, (start,) if is_pair else (), ends, most_tokens))


_FEEDS = frozenset(("input_ids", "attention_mask", "position_ids", "encoder_hidden_states", "encoder_attention_mask"))


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not path.is_file():
        raise GeneratorError(f"{path}: not there; export the model with: optimum-cli export onnx")
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        raise GeneratorError(f"{path}: onnxruntime cannot load it ({type(error).__name__})") from error
    if unknown := sorted({each.name for each in session.get_inputs()} - _FEEDS):
        raise GeneratorError(
            f"{path}: wants {unknown[0]}; export it without past key values (task text-generation or "
            "text2text-generation)"
        )
    return session


def _wanted(session: ort.InferenceSession, feed: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    names = {each.name for each in session.get_inputs()}
    return {name: value for name, value in feed.items() if name in names}


def _row(ids: list[int]) -> _Ids:
    return np.array([ids], dtype=np.int64)

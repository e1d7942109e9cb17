"""Drafts by tiny models that are made here, with torch's own greedy decoding as the reference."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from optimum.exporters.onnx import main_export
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from service.similar import generator
from service.similar.generator import Generator, GeneratorError, open_generator
from tests.support.tiny import SAMPLES
from training.export.onnx import suppress_warnings

SPECIAL = ("<pad>", "</s>")
PROMPT = "Customer:\nMy lamp is broken.\nAnswer to a similar message:\nSend it back.\nAnswer:"


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    trained = ByteLevelBPETokenizer()
    texts = [" ".join(sample) for sample in SAMPLES]
    trained.train_from_iterator(texts, vocab_size=400, special_tokens=list(SPECIAL), show_progress=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[1], model_max_length=400
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def _exported(folder: Path, model: Any, task: str) -> Path:
    _tokenizer(folder)
    model.eval().save_pretrained(folder)
    _export(folder, folder / "onnx", task)
    return folder / "onnx"


def _export(folder: Path, target: Path, task: str) -> None:
    with suppress_warnings():
        main_export(str(folder), target, task=task, do_validation=False, no_post_process=True)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    torch.manual_seed(3)
    config = GPT2Config(
        vocab_size=400, n_positions=400, n_embd=32, n_layer=2, n_head=2, eos_token_id=1, bos_token_id=1,
        initializer_range=0.4,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    return _exported(tmp_path_factory.mktemp("gpt2"), model, "text-generation"), model


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=400, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, eos_token_id=1, pad_token_id=0,
        decoder_start_token_id=0, initializer_factor=8.0,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    return _exported(tmp_path_factory.mktemp("t5"), model, "text2text-generation"), model


def _written(folder: Path) -> str:
    made = open_generator(folder)
    try:
        return asyncio.run(made.write("My lamp is broken.", "Send it back."))
    finally:
        made.close()


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_draft_is_that_of_greedy_decoding(kind: str, request: pytest.FixtureRequest, monkeypatch: Any) -> None:
    monkeypatch.setattr(generator, "MOST_TOKENS", 20)
    folder, model = request.getfixturevalue(kind)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ids = tokenizer(PROMPT, return_tensors="pt", return_token_type_ids=False)
    out = model.generate(**ids, max_new_tokens=20, do_sample=False, num_beams=1, pad_token_id=0)[0]
    new = out[ids["input_ids"].shape[1] :] if kind == "gpt2" else out[1:]
    expected = tokenizer.decode(new, skip_special_tokens=True).strip()
    assert expected
    assert _written(folder) == expected


def test_draft_ends_at_its_limit_of_tokens_and_of_time(gpt2: tuple[Path, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(generator, "MOST_SECONDS", 0.0)
    assert _written(gpt2[0]) == ""


def test_long_prompt_keeps_its_end_within_what_the_model_reads(gpt2: tuple[Path, Any]) -> None:
    made: Generator = open_generator(gpt2[0])
    try:
        assert isinstance(asyncio.run(made.write("My lamp is broken. " * 500, "")), str)
    finally:
        made.close()


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        ({"config.json": None}, "config.json cannot be read"),
        ({"tokenizer.json": b"{"}, "is damaged"),
        ({"config.json": b"{}"}, "is damaged, or names no end of text"),
        ({"model.onnx": None}, "model.onnx: not there"),
        ({"model.onnx": b"no model"}, "onnxruntime cannot load it"),
        ({"config.json": b'{"eos_token_id": 1, "n_positions": 64}'}, "too few for a prompt and a draft"),
    ],
)
def test_folder_without_a_usable_model_is_refused_in_one_line(
    gpt2: tuple[Path, Any], tmp_path: Path, damage: dict[str, bytes | None], line: str
) -> None:
    for name in ("config.json", "tokenizer.json", "model.onnx"):
        content = damage.get(name, (gpt2[0] / name).read_bytes())
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(GeneratorError, match=line) as caught:
        open_generator(tmp_path)
    assert "\n" not in str(caught.value)


def test_graph_with_past_key_values_is_refused_with_the_way_out(tmp_path: Path, gpt2: tuple[Path, Any]) -> None:
    _export(gpt2[0].parent, tmp_path, "text-generation-with-past")
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "gpt2"
    with pytest.raises(GeneratorError, match="export it without past key values"):
        open_generator(tmp_path)

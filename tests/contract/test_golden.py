"""Golden rows, replayed with the real runtime: any difference between training and serving is found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle.bundle import Bundle, open_bundle
from models.bundle.golden import GOLDEN, GoldenRow, dump_rows, load_rows, replay
from models.encoding import Batch
from models.errors import BundleError
from models.scoring import Outputs
from tests.support.tiny import TINY, TOLERANCE, rewritten
from training.export.onnx import OnnxModel


def infer_of(bundle: Bundle) -> Any:
    """The bundle's own graph on the CPU."""
    return OnnxModel.load(bundle.read("model.onnx"), bundle.encoder).infer


def changed(tiny_bundle_path: Path, store: Path, number: int, **changes: Any) -> Bundle:
    """The tiny bundle with one golden row changed and the digests recomputed."""
    rows = [json.loads(line) for line in (tiny_bundle_path / GOLDEN).read_text().splitlines()]
    rows[number] |= changes
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return open_bundle(rewritten(tiny_bundle_path, store, files={GOLDEN: content}))


def refusal(bundle: Bundle, infer: Any = None) -> str:
    with pytest.raises(BundleError) as caught:
        replay(bundle, bundle.fp32, infer or infer_of(bundle))
    assert str(caught.value).isprintable()
    return str(caught.value)


def spoiling(bundle: Bundle, **change: Callable[[Any], Any]) -> Callable[[Batch], Outputs]:
    """The bundle's graph with one output changed."""
    infer = infer_of(bundle)

    def spoiled(batch: Batch) -> Outputs:
        found: Outputs = infer(batch)
        return found._replace(**{name: spoil(getattr(found, name)) for name, spoil in change.items()})

    return spoiled


def test_a_sound_bundle_replays(tiny_bundle_path: Path) -> None:
    """Every row gives torch's tokens, logits, pooled vector and verdict through onnxruntime, within the tolerance."""
    bundle = open_bundle(tiny_bundle_path)
    found = replay(bundle, bundle.fp32, infer_of(bundle))
    assert found.rows == bundle.manifest.golden_rows
    assert found.largest_difference <= TOLERANCE
    assert found.largest_pooled_difference <= TOLERANCE


def test_rows_are_read_as_written(tiny_bundle_path: Path) -> None:
    """Line breaks and unusual characters of a ticket included."""
    bundle = open_bundle(tiny_bundle_path)
    rows = load_rows(bundle)
    assert dump_rows(rows) == bundle.read(GOLDEN)
    odd = rows[0].model_copy(update={"body": "a\nb\r\u2028\x85\x0c\0 \N{SNOWMAN}"})
    assert [GoldenRow.model_validate_json(line) for line in dump_rows([odd]).splitlines()] == [odd]


def test_a_wrong_tokenizer_is_caught(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """A tokenizer without its merges gives other tokens, and the message says so."""
    tokenizer = json.loads((tiny_bundle_path / "tokenizer.json").read_text())
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:-60]
    content = json.dumps(tokenizer).encode()
    assert "other tokens" in refusal(
        open_bundle(rewritten(tiny_bundle_path, tmp_path, files={"tokenizer.json": content}))
    )


@pytest.mark.parametrize("max_tokens", [16, 24])
def test_another_truncation_is_caught(tiny_bundle_path: Path, tmp_path: Path, max_tokens: int) -> None:
    """A smaller token limit gives other tokens on the longer rows."""
    bundle = open_bundle(
        rewritten(tiny_bundle_path, tmp_path, encoder={"max_tokens": max_tokens, "pad_id": 1, "width": TINY.hidden})
    )
    assert "other tokens" in refusal(bundle)


def test_another_text_cleaning_is_caught(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """A ticket that is cleaned differently than at export gives other tokens."""
    assert "row 3 gives other tokens" in refusal(changed(tiny_bundle_path, tmp_path, 2, body="something else"))


@pytest.mark.parametrize("number", [0, 11])
def test_a_wrong_logit_is_caught(tiny_bundle_path: Path, tmp_path: Path, number: int) -> None:
    """One logit of one row, off by twice the tolerance, is found, also in the last row."""
    row = json.loads((tiny_bundle_path / GOLDEN).read_text().splitlines()[number])
    row["logits"][-1] += 2 * TOLERANCE
    bundle = changed(tiny_bundle_path, tmp_path, number, logits=row["logits"])
    assert f"row {number + 1} is off by 0.002" in refusal(bundle)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_logits_are_caught(tiny_bundle_path: Path, value: float) -> None:
    """NaN, for which every comparison is false, is refused."""
    bundle = open_bundle(tiny_bundle_path)
    assert "per logit" in refusal(bundle, spoiling(bundle, logits=lambda logits: logits * value))
    assert "in its pooled vector" in refusal(bundle, spoiling(bundle, pooled=lambda pooled: pooled * value))


@pytest.mark.parametrize("width", [0, 1, 4, 7])
def test_a_graph_of_another_width_is_caught(tiny_bundle_path: Path, width: int) -> None:
    """A model with another number of labels is refused with one line, also where numpy would broadcast the shapes."""
    bundle = open_bundle(tiny_bundle_path)
    assert "6 logits" in refusal(bundle, spoiling(bundle, logits=lambda logits: np.resize(logits, (1, width))))


@pytest.mark.parametrize("width", [0, 1, 31, 33])
def test_a_pooled_vector_of_another_width_is_caught(tiny_bundle_path: Path, width: int) -> None:
    bundle = open_bundle(tiny_bundle_path)
    message = refusal(bundle, spoiling(bundle, pooled=lambda pooled: np.resize(pooled, (1, width))))
    assert f"pooled vector of 32, the manifest says 32, the model gives {width}" in message


def test_a_wrong_width_in_the_manifest_is_caught(tiny_bundle_path: Path, tmp_path: Path) -> None:
    bundle = open_bundle(rewritten(tiny_bundle_path, tmp_path, encoder={"max_tokens": 64, "pad_id": 1, "width": 31}))
    assert "the manifest says 31" in refusal(bundle)


@pytest.mark.parametrize("number", [0, 11])
def test_a_wrong_pooled_vector_is_caught(tiny_bundle_path: Path, tmp_path: Path, number: int) -> None:
    """One number of one row, off by twice the tolerance, is found."""
    row = json.loads((tiny_bundle_path / GOLDEN).read_text().splitlines()[number])
    row["pooled"][-1] += 2 * TOLERANCE
    bundle = changed(tiny_bundle_path, tmp_path, number, pooled=row["pooled"])
    assert f"row {number + 1} is off by 0.002 in its pooled vector" in refusal(bundle)


def test_a_row_of_another_width_is_caught(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """A row with a single logit is not broadcast against all of them."""
    assert "1 logits" in refusal(changed(tiny_bundle_path, tmp_path, 0, logits=[0.0]))


@pytest.mark.parametrize("change", [{"outcome": "invented"}, {"label": "somewhere else"}])
def test_a_wrong_verdict_is_caught(tiny_bundle_path: Path, tmp_path: Path, change: dict[str, str]) -> None:
    """The same logits with another outcome or label than at export are refused."""
    assert "another verdict" in refusal(changed(tiny_bundle_path, tmp_path, 4, **change))


def test_other_thresholds_are_caught(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Thresholds that changed since export give other verdicts."""
    fields = json.loads((tiny_bundle_path / "manifest.json").read_text())["models"][0]["fields"]
    for label in fields[0]["labels"]:
        label["route"] = 1.0
    assert "another verdict" in refusal(open_bundle(rewritten(tiny_bundle_path, tmp_path, fields=fields)))


@pytest.mark.parametrize("count", [11, 13])
def test_a_wrong_count_is_caught(tiny_bundle_path: Path, tmp_path: Path, count: int) -> None:
    """Missing and additional rows are noticed."""
    assert f"the manifest says {count}" in refusal(
        open_bundle(rewritten(tiny_bundle_path, tmp_path, golden_rows=count))
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"\n" * 12, b"{}\n" * 12, b"[]\n" * 12, b"\xff\n" * 12, b'{"subject": NaN}\n' * 12, b"[" * 99_999],
)
def test_a_golden_file_of_another_format_is_refused(tiny_bundle_path: Path, tmp_path: Path, content: bytes) -> None:
    """With one line."""
    bundle = open_bundle(rewritten(tiny_bundle_path, tmp_path, files={GOLDEN: content}))
    assert GOLDEN in refusal(bundle)

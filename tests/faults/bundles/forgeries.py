"""Forged bundles: changed, with every digest and the version id recomputed to match.

The golden rows reveal a model that answers differently; the runtime and the manifest's schema refuse what does not
belong in a bundle. Only a signature reveals the rest, such as a slightly changed threshold: `UNSEEN`.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from models.bundle.golden import GOLDEN
from tests.faults.bundles.damage import Spoil
from tests.support.sealing import fields_of, manifest_of, replaced, resealed

GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"


def other_tokenizer(folder: Path, random: Random) -> None:
    """Its last merges are gone, or two words have swapped places."""
    content = json.loads((folder / TOKENIZER).read_text())
    if random.random() < 0.5:
        del content["model"]["merges"][-random.randrange(60, 100) :]
    else:
        words = content["model"]["vocab"]
        letters = random.sample(["a", "e", "i", "n", "o", "r", "s", "t"], 2)
        words[letters[0]], words[letters[1]] = words[letters[1]], words[letters[0]]
    replaced(folder, TOKENIZER, json.dumps(content).encode())


def broken_tokenizer(folder: Path, random: Random) -> None:
    content = (folder / TOKENIZER).read_bytes()
    broken = [b"", b"{}", b"[" * 10**5, content[: len(content) // 2], content.replace(b'"BPE"', b'"Pickle"')]
    replaced(folder, TOKENIZER, random.choice(broken))


def other_weights(folder: Path, random: Random) -> None:
    def change(graph: onnx.ModelProto) -> None:
        weight = next(each for each in graph.graph.initializer if "word_embeddings" in each.name)
        values = numpy_helper.to_array(weight)
        noise = np.random.default_rng(random.randrange(2**32)).normal(1, 0.02, values.shape)
        weight.CopyFrom(numpy_helper.from_array((values * noise).astype(np.float32), weight.name))

    _with_graph(folder, change)


def weights_elsewhere(folder: Path, random: Random) -> None:
    """The graph names an external file for its weights."""

    def change(graph: onnx.ModelProto) -> None:
        weight = next(each for each in graph.graph.initializer if "word_embeddings" in each.name)
        weight.ClearField("raw_data")
        weight.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": random.choice(["README.md", "/etc/passwd", "../../etc/passwd"])}.items():
            weight.external_data.add(key=key, value=value)

    _with_graph(folder, change)


def foreign_operator(folder: Path, random: Random) -> None:
    """An operator from a library that onnxruntime would have to load."""

    def change(graph: onnx.ModelProto) -> None:
        # onnxruntime evaluates any Constant without looking its operator up
        random.choice([node for node in graph.graph.node if node.op_type != "Constant"]).domain = "com.example.run"
        graph.opset_import.add(domain="com.example.run", version=1)

    _with_graph(folder, change)


def no_graph(folder: Path, random: Random) -> None:
    replaced(folder, GRAPH, random.choice([b"", b"no graph", b"\x80\x04\x95pickle.", b"\0\0\0\0ORTM" + bytes(100)]))


def _with_graph(folder: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    graph = onnx.load(str(folder / GRAPH))
    change(graph)
    replaced(folder, GRAPH, graph.SerializeToString())


def golden_edited(folder: Path, random: Random) -> None:
    rows = [json.loads(line) for line in (folder / GOLDEN).read_text().splitlines()]
    row = random.choice(rows)
    key = random.choice(["ids", "logits", "pooled", "outcome", "label"])
    row[key] = [*row[key][:-1], row[key][-1] + 1] if key in ("ids", "logits", "pooled") else "elsewhere"
    replaced(folder, GOLDEN, "".join(json.dumps(each) + "\n" for each in rows).encode())


def golden_lost(folder: Path, random: Random) -> None:
    lines = (folder / GOLDEN).read_text().splitlines(keepends=True)
    del lines[random.randrange(len(lines))]
    replaced(folder, GOLDEN, "".join(lines).encode())


def labels_rotated(folder: Path, random: Random) -> None:
    """The department's labels in another order: every ticket would go to a wrong department."""
    fields = fields_of(folder)
    labels = fields[0]["labels"]
    turn = random.randrange(1, len(labels))
    fields[0]["labels"] = labels[turn:] + labels[:turn]
    resealed(folder, fields=fields)


def nothing_routed(folder: Path, random: Random) -> None:
    """Thresholds that no ticket, or every ticket, passes."""
    fields = fields_of(folder)
    for label in fields[0]["labels"]:
        label["route"] = label["suggest"] = random.choice([0.0, 1.0])
    resealed(folder, fields=fields)


def shorter(folder: Path, random: Random) -> None:
    """Texts would be truncated earlier than in training."""
    resealed(folder, encoder=manifest_of(folder)["encoder"] | {"max_tokens": random.randrange(8, 20)})


def forbidden_value(folder: Path, random: Random) -> None:
    """Correct digests, and a value that the manifest's schema forbids."""
    content = manifest_of(folder)
    listed, fields = content["files"], fields_of(folder)
    broken_label = fields[0]["labels"][0] | {"route": random.choice([float("nan"), 1e400, -0.1, 1.1, "0.9"])}
    choices: list[dict[str, Any]] = [
        {"fields": [fields[0] | {"labels": [broken_label, *fields[0]["labels"][1:]]}, *fields[1:]]},
        {"fields": [fields[0] | {"temperature": random.choice([0, float("nan"), float("inf"), 1e9])}, *fields[1:]]},
        {"fields": fields + fields[:1]},
        {"files": listed | {random.choice(["../x.json", "run.py", "w.bin", "m.pkl", "l.so"]): listed[GRAPH]}},
        {"files": listed | {GRAPH: listed[GRAPH] | {"size": random.choice([2**31, 2**50])}}},
        {"models": [content["models"][0] | {"file": "elsewhere.onnx"}]},
        {"provenance": {"figure": float("nan")}},
        {"text_version": content["text_version"] + 1},
    ]
    resealed(folder, **random.choice(choices))


def nearly_the_same(folder: Path, random: Random) -> None:
    """A slightly different threshold, another date, another origin."""
    fields = fields_of(folder)
    fields[-1]["labels"][0]["route"] = 0.5 + random.random() / 2
    other_date = {"created_at": f"2026-11-{random.randrange(10, 20)}T00:00:00Z"}
    resealed(folder, **random.choice([{"fields": fields}, other_date, {"provenance": {"made_by": "us"}}]))


FORGERIES: Mapping[str, Spoil] = {
    "another tokenizer": other_tokenizer,
    "a broken tokenizer": broken_tokenizer,
    "other weights": other_weights,
    "weights in another file": weights_elsewhere,
    "an operator of elsewhere": foreign_operator,
    "no graph": no_graph,
    "golden rows edited": golden_edited,
    "a golden row lost": golden_lost,
    "labels out of order": labels_rotated,
    "nothing or all routed": nothing_routed,
    "texts cut shorter": shorter,
    "a senseless manifest": forbidden_value,
}
UNSEEN: Mapping[str, Spoil] = {"nearly the same": nearly_the_same}
"""Only a signature reveals these."""

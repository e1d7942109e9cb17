"""Infinity: its optimum engine on a folder in Hugging Face's layout, which is made here from the bundle.

Infinity 0.0.78 looks for the ONNX file on the hub even for a local folder (with optimum-onnx 0.1 and newer), so the
look-up is replaced by the file's path; and its session options are replaced by ours, so that threads don't spin.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import infinity_emb.transformer.classifier.optimum as optimum
import uvicorn
from infinity_emb import EngineArgs
from infinity_emb.infinity_server import create_server
from optimum.onnxruntime import ORTModelForSequenceClassification
from tokenizers import Tokenizer

from tests.benchmarks.serving.peers.classifier import BUNDLE, THREADS, session_options

GRAPH = "model.onnx"
MAX_BATCH = 32


def hub_folder(bundle: Path, folder: Path) -> None:
    """The bundle as a folder that transformers and optimum read. Only labels and tokens matter here."""
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    graph = next(model["file"] for model in manifest["models"] if model["variant"] == "fp32")
    (folder / GRAPH).symlink_to(bundle / graph)
    (folder / "tokenizer.json").symlink_to(bundle / "tokenizer.json")
    words = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    encoder = manifest["encoder"]
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": encoder["max_tokens"],
        "pad_token": words.id_to_token(encoder["pad_id"]),
    }
    # Infinity needs a name for every logit, including those of further fields
    names = [
        f"{field['name']}: {label['name']}" for field in manifest["models"][0]["fields"] for label in field["labels"]
    ]
    labels = {str(number): name for number, name in enumerate(names)}
    config = {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "id2label": labels,
        "label2id": {label: int(number) for number, label in labels.items()},
        "pad_token_id": encoder["pad_id"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (folder / "config.json").write_text(json.dumps(config))


def load(*, model_name_or_path: str, **_options: Any) -> ORTModelForSequenceClassification:
    """Replaces Infinity's own loading: the same file without its rewriting, and our session options."""
    options = session_options(int(os.environ[THREADS]))
    return ORTModelForSequenceClassification.from_pretrained(
        model_name_or_path, file_name=GRAPH, session_options=options, provider="CPUExecutionProvider"
    )


def serve(port: int, folder: Path) -> None:
    hub_folder(Path(os.environ[BUNDLE]), folder)
    optimum.get_onnx_files = lambda **_options: Path(GRAPH)
    optimum.optimize_model = load
    engine = EngineArgs(
        model_name_or_path=str(folder),
        served_model_name="router",
        engine="optimum",
        device="cpu",
        batch_size=MAX_BATCH,
        model_warmup=False,  # it warms up with texts of 512 tokens and more, at which it hangs
    )
    uvicorn.run(create_server(engine_args_list=[engine]), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        serve(int(sys.argv[1]), Path(made))

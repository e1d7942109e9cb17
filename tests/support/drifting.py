"""The tiny bundle with a reference of made-up tickets, and tickets that are like them or not."""

import json
from collections.abc import Sequence
from pathlib import Path

import httpx

from models.bundle.bundle import open_bundle
from tests.support.process import Service
from tests.support.tiny import rewritten, tiny_reference
from training.evaluation.bundle_answers import load_graph
from training.sample.tickets import make_tickets

TICKETS = 330
"""A few more than a window needs."""
_BATCH = 60
_CYRILLIC = {code: 0x430 + code - 97 for code in range(97, 123)}


def usual(rows: int, seed: int) -> list[str]:
    """Short English texts, no two alike."""
    tickets = make_tickets(4 * rows, seed)
    subjects = [ticket.subject for ticket in tickets if ticket.language == "en" and ticket.subject]
    return [f"{subject} {number}" for number, subject in enumerate(subjects)][:rows]


def cyrillic(texts: Sequence[str]) -> list[str]:
    """The same texts in other letters: as another language is to a tokenizer and to the script."""
    return [text.lower().translate(_CYRILLIC) for text in texts]


def longer(texts: Sequence[str]) -> list[str]:
    return [f"{text} {text} {text}" for text in texts]


def bundle_of_usual(tiny: Path, store: Path) -> Path:
    """A copy of the tiny bundle whose reference is usual tickets."""
    bundle = open_bundle(tiny)
    texts = usual(1500, seed=1)
    encodings = [bundle.encode(text) for text in texts]
    models = json.loads((tiny / "manifest.json").read_text())["models"]
    logits = load_graph(bundle, bundle.fp32, threads=1).logits(encodings)
    models[0]["reference"] = tiny_reference(texts, encodings, logits)
    return rewritten(tiny, store, models=models)


def departments(tiny: Path, texts: Sequence[str]) -> list[str]:
    """The likeliest department of each text."""
    bundle = open_bundle(tiny)
    logits = load_graph(bundle, bundle.fp32, threads=1).logits([bundle.encode(text) for text in texts])
    return [verdict.department.candidates[0].label for verdict in bundle.fp32.judge_batch(logits)]


def send(service: Service, texts: Sequence[str]) -> None:
    with service.client() as client:
        for start in range(0, len(texts), _BATCH):
            tickets = [{"body": text} for text in texts[start : start + _BATCH]]
            answer: httpx.Response = client.post("/v1/route/batch", json={"tickets": tickets})
            assert answer.status_code == 200
            assert all("decision" in result for result in answer.json()["results"])

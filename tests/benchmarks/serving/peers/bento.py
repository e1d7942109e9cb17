"""BentoML: adaptive batching, batches of up to 32."""

import os
import sys
from pathlib import Path

import bentoml
from pydantic import BaseModel

from tests.benchmarks.serving.peers.classifier import WORKERS, Classifier

MAX_BATCH = 32
MOST_LATENCY_MS = 60_000
"""It refuses requests that it expects to take longer; high, so that it answers everything."""


class Answer(BaseModel):
    label: str
    confidence: float


@bentoml.service(workers=int(os.environ[WORKERS]), traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Route:
    def __init__(self) -> None:
        self.classifier = Classifier.from_environment()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=MOST_LATENCY_MS)
    def classify(self, texts: list[str]) -> list[Answer]:
        return [Answer(label=label, confidence=confidence) for label, confidence in self.classifier.classify(texts)]


if __name__ == "__main__":
    command = str(Path(sys.executable).with_name("bentoml"))
    options = ["--host", "127.0.0.1", "--port", sys.argv[1]]
    os.execv(command, [command, "serve", "tests.benchmarks.serving.peers.bento:Route", *options])

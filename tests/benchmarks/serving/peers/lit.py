"""LitServe: batches of up to 16 that wait at most 2 ms, one worker process that computes on all cores."""

import os
import sys
from typing import Any

import litserve as ls

from tests.benchmarks.serving.peers.classifier import WORKERS, Classifier

MAX_BATCH = 16
WAIT_SECONDS = 0.002


class Route(ls.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - the framework's signature
        self.classifier = Classifier.from_environment()

    def decode_request(self, request: dict[str, Any]) -> str:
        return str(request["text"])

    def predict(self, texts: list[str]) -> list[tuple[str, float]]:
        return self.classifier.classify(texts)

    def encode_response(self, output: tuple[str, float]) -> dict[str, Any]:
        return {"label": output[0], "confidence": output[1]}


if __name__ == "__main__":
    api = Route(max_batch_size=MAX_BATCH, batch_timeout=WAIT_SECONDS, api_path="/classify")
    workers = int(os.environ[WORKERS])
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")

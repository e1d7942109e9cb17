"""Ray Serve: one replica that gathers up to 16 requests for at most 2 ms."""

import os
import sys
import time
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from tests.benchmarks.serving.peers.classifier import WORKERS, Classifier

MAX_BATCH = 16
WAIT_SECONDS = 0.002
ONGOING = 256


@serve.deployment(num_replicas=int(os.environ[WORKERS]), max_ongoing_requests=ONGOING)
class Route:
    def __init__(self) -> None:
        self.classifier = Classifier.from_environment()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=WAIT_SECONDS)
    async def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        return [{"label": label, "confidence": confidence} for label, confidence in self.classifier.classify(texts)]

    async def __call__(self, request: Request) -> dict[str, Any]:
        answer: dict[str, Any] = await self.classify((await request.json())["text"])
        return answer


if __name__ == "__main__":
    # Ray itself needs cores to assign; the replica requests only one
    ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1]), "access_log": False})
    serve.run(Route.bind(), route_prefix="/classify")
    while True:
        time.sleep(3600)

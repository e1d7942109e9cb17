"""MLServer: a custom runtime of the V2 protocol with adaptive batching, batches of up to 32 that wait at most 5 ms."""

import json
import os
import sys
import tempfile
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from tests.benchmarks.serving.peers.classifier import WORKERS, Classifier

MAX_BATCH = 32
WAIT_SECONDS = 0.005


class Route(MLModel):
    async def load(self) -> bool:
        self.classifier = Classifier.from_environment()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        answers = self.classifier.classify(StringCodec.decode_input(payload.inputs[0]))
        labels = StringCodec.encode_output("label", [label for label, _ in answers])
        chances = [confidence for _, confidence in answers]
        confidence = ResponseOutput(name="confidence", shape=[len(chances), 1], datatype="FP32", data=chances)
        return InferenceResponse(model_name=self.name, outputs=[labels, confidence])


def write_settings(folder: Path, port: int) -> None:
    server = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": int(os.environ[WORKERS]),
        "debug": False,
    }
    model = {
        "name": "router",
        "implementation": "tests.benchmarks.serving.peers.mls.Route",
        "max_batch_size": MAX_BATCH,
        "max_batch_time": WAIT_SECONDS,
    }
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(model))


if __name__ == "__main__":
    made = Path(tempfile.mkdtemp())
    write_settings(made, int(sys.argv[1]))
    command = str(Path(sys.executable).with_name("mlserver"))
    os.execv(command, [command, "start", str(made)])

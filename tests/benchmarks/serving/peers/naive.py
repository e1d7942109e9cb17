"""The obvious first version: FastAPI, and onnxruntime called in a plain `def` endpoint (its thread pool)."""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from tests.benchmarks.serving.peers.classifier import Classifier


class Question(BaseModel):
    text: str


class Answer(BaseModel):
    label: str
    confidence: float


app = FastAPI()
classifier = Classifier.from_environment()


@app.post("/classify")
def classify(question: Question) -> Answer:
    label, confidence = classifier.classify([question.text])[0]
    return Answer(label=label, confidence=confidence)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")

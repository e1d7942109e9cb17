"""The smaller parts of the service: the table of errors, logs, runner, variants."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.bundle.bundle import open_bundle
from models.errors import BundleError
from service import errors
from service.errors import ServiceError
from service.http.problems import INTERNAL, TABLE, kind_of, problem_of
from service.inference.onnx_session import DeviceError, open_runner
from service.logs import remove_exception_messages
from tests.support.process import ROOT

CANARY = "canary-7f3a"


def test_every_service_error_is_in_the_problem_table() -> None:
    """No service error becomes a 500 by omission, and no two have the same code."""
    leaves = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ServiceError)]
    assert set(leaves) - {ServiceError} <= set(TABLE)
    codes = [kind.code for kind in TABLE.values()]
    assert len(set(codes)) == len(codes)


def test_subclass_is_handled_as_its_parent() -> None:
    """An error without its own entry has the form of its nearest listed parent."""

    class Fuller(errors.Overloaded):
        pass

    assert kind_of(Fuller(1)) is TABLE[errors.Overloaded]


def test_message_of_an_unknown_error_is_not_sent() -> None:
    """Its text may contain anything, so the problem has a constant detail."""
    problem = problem_of(KeyError(CANARY), "id-1")
    assert (problem.status, problem.code, problem.request_id) == (500, INTERNAL.code, "id-1")
    assert CANARY not in problem.model_dump_json()


def test_logged_exception_has_locations_and_classes_but_no_message() -> None:
    """The message of an exception often quotes the ticket."""
    try:
        try:
            json.loads(CANARY)
        except ValueError as cause:
            raise KeyError(CANARY) from cause
    except KeyError as error:
        event = remove_exception_messages(None, "error", {"event": "x", "exc_info": error})
    assert CANARY not in repr(event)
    assert "KeyError at" in event["error"]
    assert "JSONDecodeError at" in event["error"]


def test_the_end_of_the_drain_time_is_a_warning() -> None:
    """uvicorn logs the cancelled requests as an error; its other errors stay errors."""
    code = (
        "import inspect, logging, uvicorn; from service.logs import configure_logging; configure_logging('info')\n"
        "message = 'Cancel %s running task(s), timeout graceful shutdown exceeded'\n"
        "assert message in inspect.getsource(uvicorn.Server.shutdown)\n"
        "log = logging.getLogger('uvicorn.error'); log.error(message, 1); log.error('else')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(event["level"], event["event"][:8]) for event in events] == [("warning", "Cancel 1"), ("error", "else")]


def test_missing_gpu_is_refused_by_name(tiny_bundle_path: Path) -> None:
    """onnxruntime itself would only warn and take the CPU."""
    graph = open_bundle(tiny_bundle_path).read("model.onnx")
    with pytest.raises(DeviceError, match="device cuda"):
        open_runner(graph, "cuda", 1)


def test_a_graph_that_cannot_be_loaded_is_a_bundle_error() -> None:
    """In one line, whatever class onnxruntime raises."""
    with pytest.raises(BundleError, match="cannot load"):
        open_runner(b"not onnx at all", "cpu", 1)

"""Fixtures around the training command line. Most tests share one real training."""

import signal
import sys
from collections.abc import Iterator

import pytest

from tests.support.training import RECIPE, Invoke, Place, Run, command
from training.sample import make_tickets, write_tickets


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """The same `main` in this process, so that torch is loaded once. Signals and torch are left as they were."""
    import torch

    from training.cli import main

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["training", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        return Run(int(caught.value.code or 0), out, err)

    yield run
    torch.use_deterministic_algorithms(False)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One training by the real command line, shared by most tests; tests leave its store as the first training left
    it."""
    from tests.support.tiny import tiny_roberta

    folder = tmp_path_factory.mktemp("training")
    tiny_roberta(folder / "base")
    write_tickets(make_tickets(150, 3), folder / "tickets.csv")
    (folder / "recipe.toml").write_text(RECIPE)
    made = Place(folder / "base", folder / "tickets.csv", folder / "recipe.toml", folder / "store", Run(0, "", ""))
    run = command(*made.arguments(made.store), "--field", "priority", env={"PYTHONHASHSEED": "1"})
    assert run.code == 0, run.err
    return Place(made.base, made.data, made.recipe, made.store, run)

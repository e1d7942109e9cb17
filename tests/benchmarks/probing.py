"""Probes under load: `overload.py` and `stalls.py` measure with them whether other clients are still answered."""

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import httpx

from tests.support.process import Service


@dataclass(slots=True)
class Probing:
    """Requests these paths of the management port in turn, and records how long each answer took."""

    service: Service
    paths: Sequence[str]
    pause_seconds: float
    seconds: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._probe, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _probe(self) -> None:
        with httpx.Client(base_url=self.service.management_url, timeout=30) as client:
            for path in itertools.cycle(self.paths):
                began = time.perf_counter()
                client.get(path).raise_for_status()
                self.seconds.append(time.perf_counter() - began)
                if self._over.wait(self.pause_seconds):
                    return

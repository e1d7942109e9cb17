"""`Similar`: keeps the closed tickets and their vectors up to date in the background, and answers the desk."""

import asyncio
import contextlib
import os
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import structlog

from models.index_file import Vectors
from service.inference.engine import Engine
from service.lifecycle import end, repeat
from service.records.database.schema import first_id, milliseconds_now, milliseconds_of
from service.records.records import Records
from service.records.retention import DAY_MS
from service.routing.router import Router
from service.settings import Settings
from service.similar import closed
from service.similar.generator import Generator, GeneratorError, open_generator
from service.similar.nearest import Nearest, varied
from service.similar.summary import candidates, chosen
from service.similar.vectors import VectorMaker

SHOWN = 5
OF_ONE_DEPARTMENT = 3
"""Most of these, so that it is seen where else such tickets went."""
MOST_TICKETS = 100_000
"""Closed tickets that are searched, the newest: 50 MB of memory, and a file of 150 MB with a small encoder, 300 MB with
a base one."""
NEAR = 20
"""Looked at for those that are shown: some may be the ticket itself, of one department, or deleted by now."""
REFRESH_SECONDS = 60.0
LOAD_SHARE = 0.01
"""Largest share of time for reading all vectors anew."""
WORK_SHARE = 0.25
"""Largest share of time for making vectors in the background."""
PORTION = 32
LOAD_PORTION = 2000
OVERLAP_MS = 600_000
"""Feedback of several services is not committed in the order of its ids."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Alike:
    """A closed ticket that is like another. `ticket`: its id, where known; `answer`: what was answered, where known;
    `at`: of its arrival, Unix milliseconds."""

    ticket: str | None
    department: str
    similarity: float
    text: str
    answer: str | None
    at: int


@dataclass(frozen=True, slots=True)
class State:
    """`searched`: closed tickets in which similar ones are found; `waiting`: those whose vectors are still another
    bundle's; `beyond`: older ones, over MOST_TICKETS."""

    searched: int
    waiting: int
    beyond: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    version: str
    count: int
    newest: str
    nearest: Nearest
    at: float
    seconds: float


class Similar:
    """Use from one event loop only."""

    def __init__(self, records: Records, router: Router, settings: Settings) -> None:
        self._records = records
        self._router = router
        self._folder = settings.state_dir
        self._generator_folder = settings.desk_generator
        self.vectors = VectorMaker()
        self._loaded: _Loaded | None = None
        self._waiting = 0
        self._last_feedback = first_id(milliseconds_now() - settings.records_text_days * DAY_MS)
        self._task: asyncio.Task[None] | None = None
        self.generator: Generator | None = None
        self.generator_fault: str | None = None
        """Why the generator of the settings is not used."""

    async def start(self) -> None:
        """After the first bundle is loaded."""
        if self._generator_folder is not None:
            try:
                self.generator = await asyncio.to_thread(open_generator, self._generator_folder)
            except GeneratorError as error:
                self.generator_fault = str(error)
                _log.error("generator of drafts does not start", cause=str(error))
        self._task = asyncio.create_task(
            repeat(self.refresh, REFRESH_SECONDS, "refresh of the closed tickets failed", after=1.0)
        )

    async def stop(self) -> None:
        """No effect if it was not started."""
        if self._task is not None:
            await end(self._task)
        self.vectors.close()
        if self.generator is not None:
            self.generator.close()

    @property
    def state(self) -> State:
        loaded = self._loaded
        if loaded is None or loaded.version != self._router.engine.model.version:
            return State(0, self._waiting, 0)
        searched = len(loaded.nearest.ids)
        return State(searched, self._waiting, max(0, loaded.count - searched))

    async def like(self, text: str, *, ticket: str | None = None, decision_id: str | None = None) -> list[Alike]:
        """The closed tickets that are most like this text, most like first: not the ticket itself, none twice, and at
        most OF_ONE_DEPARTMENT of one department while there are others near.

        Raises:
            RecordsUnavailable: the database is away.
        """
        engine, loaded = self._router.engine, self._loaded
        if not text or loaded is None or loaded.version != engine.model.version:
            return []
        vector = (await self.vectors.of(engine, [text]))[0]
        near = await asyncio.to_thread(loaded.nearest.of, vector, NEAR)
        rows = await self._records.read(partial(closed.closed_of, ids=[each for each, _ in near]))
        found: list[Alike] = []
        seen = {ticket} - {None}
        for row_id, similarity in near:
            row = rows.get(row_id)
            if row is None or not row.shown or row_id == decision_id or row.ticket in seen or similarity <= 0:
                continue
            if row.ticket is not None:
                seen.add(row.ticket)
            at = milliseconds_of(row_id)
            found.append(Alike(row.ticket, row.department, similarity, row.shown, row.answer, at))
        return [found[place] for place in varied([each.department for each in found], SHOWN, OF_ONE_DEPARTMENT)]

    async def summary(self, text: str) -> list[str]:
        """The sentences that say most, in their order; none of a short text."""
        sentences = await asyncio.to_thread(candidates, text)
        if not sentences:
            return []
        vectors = await self.vectors.of(self._router.engine, sentences)
        return [sentences[row] for row in chosen(vectors)]

    async def write(self, text: str, example: Alike | None) -> str:
        """An answer to this text, written by the generator; `example`: a similar ticket with its answer."""
        assert self.generator is not None
        return await self.generator.write(text, "" if example is None else example.answer or "")

    async def refresh(self) -> None:
        """Take what is new: feedback, tickets of another bundle, and what other processes added or deleted."""
        if not self._router.has_engine:
            return
        engine = self._router.engine
        await self._take_feedback(engine)
        await self._renew(engine)
        await self._load(engine)

    async def _take_feedback(self, engine: Engine) -> None:
        after = self._last_feedback
        while self._router.engine is engine:
            said, last = await self._records.read(partial(closed.new_feedback, after=after, limit=PORTION))
            if last is None:
                break
            after = last
            if said:
                started = time.perf_counter()
                vectors = await self._make(engine, [each.text for each in said])
                add = partial(closed.add_from_record, said=said, vectors=vectors, bundle=engine.model.version)
                await self._records.write(add)
                await asyncio.sleep((time.perf_counter() - started) * (1 / WORK_SHARE - 1))
        self._last_feedback = max(self._last_feedback, first_id(milliseconds_of(after) - OVERLAP_MS))

    async def _renew(self, engine: Engine) -> None:
        """Make the vectors of another bundle anew."""
        version = engine.model.version
        while self._router.engine is engine:
            others = await self._records.read(partial(closed.of_other_bundles, bundle=version, limit=PORTION))
            if not others:
                break
            started = time.perf_counter()
            vectors = await self._make(engine, [text for _, text in others])
            ids = [each for each, _ in others]
            await self._records.write(partial(closed.set_vectors, ids=ids, vectors=vectors, bundle=version))
            self._waiting = max(0, self._waiting - len(ids))
            await self._load(engine)
            await asyncio.sleep((time.perf_counter() - started) * (1 / WORK_SHARE - 1))

    async def _load(self, engine: Engine) -> None:
        """Read the vectors if others are there than before, but not all the time."""
        version = engine.model.version
        count, self._waiting, newest = await self._records.read(partial(closed.counts, bundle=version))
        loaded = self._loaded
        if loaded is not None and (loaded.version, loaded.count, loaded.newest) == (version, count, newest):
            return
        started = time.perf_counter()
        if loaded is not None and loaded.version == version and started < loaded.at + loaded.seconds / LOAD_SHARE:
            return
        ids: list[str] = []
        # In a file without a name: under pressure the system drops its pages instead of ending the process.
        width = engine.bundle.manifest.encoder.width
        vectors = vectors_in_file(self._folder, min(count, MOST_TICKETS), width)
        before: str | None = None
        while len(ids) < len(vectors):
            limit = min(LOAD_PORTION, len(vectors) - len(ids))
            names, portion = await self._records.read(
                partial(closed.vectors_before, bundle=version, width=width, before=before, limit=limit)
            )
            if not names:
                break
            vectors[len(ids) : len(ids) + len(names)] = portion
            ids += names
            before = names[-1]
        nearest = await self.vectors.beside(Nearest.over, ids, vectors[: len(ids)])
        now = time.perf_counter()
        self._loaded = _Loaded(version, count, newest, nearest, now, now - started)

    async def _make(self, engine: Engine, texts: list[str]) -> Vectors:
        while engine.batcher.depth:  # noqa: ASYNC110 - callers wait, and nothing tells when they do not
            await asyncio.sleep(0.2)
        return await self.vectors.of(engine, texts)


def vectors_in_file(folder: Path, rows: int, width: int) -> Vectors:
    """Room for so many vectors, in a file without a name; in memory where the disk has no room."""
    if rows:
        with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, 4 * rows * width)  # a full disk is found here, not at a write
            return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, width))
    return np.empty((rows, width), dtype=np.float32)

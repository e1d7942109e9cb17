"""Tests whether explanations are faithful: what is shown matters more to the model than anything else of that length.

    python -m tests.benchmarks.explanations BUNDLE --data FILE [--column ROLE=COLUMN] [--tickets 300]

FILE has the bundle's training data; its split is repeated, and tickets are drawn from the test rows, or the calibration
rows where there are none. Of each ticket the (up to three) phrases shown for the decided department are removed, and as
many random phrases of as many words each, of the part of the text that the model reads. Printed: the share of tickets
in which the first lowers the department's confidence more, for n-grams and for words by occlusion, and the times. A
ticket without other phrases of that length cannot be tested and is counted.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from models.bundle.bundle import Bundle, open_bundle
from models.encoding import Span
from models.fields import DEPARTMENT
from service.explain.ngrams import ngram_phrases
from service.explain.occlusion import Occlusion, strongest
from service.explain.phrases import Phrase, words_within
from service.inference.engine import Engine, open_engine
from service.settings import Settings
from training.cli.options import ticket_file
from training.data.source import TicketFile, read_tickets
from training.data.split import split_rows
from training.recipe import Recipe

SECONDS = 600.0


def texts_of(bundle: Bundle, file: TicketFile, tickets: int, seed: int) -> list[str]:
    recipe = Recipe.model_validate(bundle.manifest.provenance["recipe"])
    checked = read_tickets(file, [field.name for field in bundle.manifest.label_space()])
    split = split_rows(checked.rows, recipe, recipe.seed)
    texts = [row.text for row in split["test"] or split["calibration"]]
    return random.Random(seed).sample(texts, min(tickets, len(texts)))


def others(words: Sequence[Span], shown: Sequence[range], draw: random.Random) -> list[range] | None:
    """Random phrases of as many words, in any order, none of which overlap; None: there are no others."""
    for _ in range(100):
        drawn: list[range] = []
        for length in sorted(map(len, shown), reverse=True):
            places = [
                range(start, start + length)
                for start in range(len(words) - length + 1)
                if all(start + length <= each.start or each.stop <= start for each in drawn)
            ]
            if not places:
                break
            drawn.append(draw.choice(places))
        if len(drawn) == len(shown) and {n for each in drawn for n in each} != {n for each in shown for n in each}:
            return sorted(drawn, key=lambda each: each.start)
    return None


async def holds(occlusion: Occlusion, phrases: Sequence[Phrase], draw: random.Random) -> bool | None:
    """Whether removing the phrases lowers the confidence more than removing others; None: it cannot be tested."""
    words = occlusion.words
    shown = sorted((words_within(words, each.span) for each in phrases), key=lambda each: each.start)
    drawn = others(words, shown, draw)
    if drawn is None or not shown:
        return None
    chosen = ([(words[each[0]][0], words[each[-1]][1]) for each in side] for side in (shown, drawn))
    without_shown, without_drawn = await occlusion.confidences(list(chosen))
    return without_shown < without_drawn


async def measure(engine: Engine, texts: Sequence[str], seed: int, verbose: bool) -> None:
    draw = random.Random(seed)
    kept: dict[str, list[bool | None]] = {"n-grams": [], "words": []}
    times: dict[str, list[float]] = {"n-grams": [], "sentences": [], "words": []}
    scoring = engine.graph.scorings[0]
    for text in texts:
        batch = engine.bundle.encoder.batch([engine.bundle.encode(text)])
        label = engine.graph.judge_batch(engine.sessions.run(batch))[0].department.candidates[0].label
        marks = [time.perf_counter()]
        said = ngram_phrases(engine, text, DEPARTMENT, label)
        marks.append(time.perf_counter())
        occlusion = await Occlusion.of(engine, text, scoring, label, asyncio.get_running_loop().time() + SECONDS)
        sentences = await occlusion.sentences()
        marks.append(time.perf_counter())
        words = await occlusion.phrases(strongest(sentences))
        marks.append(time.perf_counter())
        for name, seconds in zip(times, np.diff(marks), strict=True):
            times[name].append(float(seconds))
        if said is not None:
            kept["n-grams"].append(await holds(occlusion, said.pro, draw))
        kept["words"].append(await holds(occlusion, words.pro, draw))
        if verbose and not kept["words"][-1]:
            print(kept["words"][-1], label, repr(text), [each.text for each in words.pro])
    for name, results in kept.items():
        tested = [each for each in results if each is not None]
        if tested:
            low, high = binomtest(sum(tested), len(tested)).proportion_ci(0.95, "wilson")
            found = f"{sum(tested) / len(tested):.3f} ({low:.3f} to {high:.3f})"
            print(f"{name}: {found} of {len(tested)} tickets, {len(results) - len(tested)} not tested")
    for name, each in times.items():
        print(f"{name}: median {1000 * np.median(each):.1f} ms, p95 {1000 * np.quantile(each, 0.95):.1f} ms")


async def run(path: Path, texts: Sequence[str], seed: int, verbose: bool) -> None:
    with tempfile.TemporaryDirectory() as state:
        engine = open_engine(Settings(bundle=path, state_dir=Path(state)), lambda _report: None, path)
        try:
            await measure(engine, texts, seed, verbose)
        finally:
            await engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--column", action="append", default=[], metavar="ROLE=COLUMN")
    parser.add_argument("--tickets", type=int, default=300)
    parser.add_argument("--seed", type=int, default=27)
    parser.add_argument("--verbose", action="store_true", help="print the tickets in which it does not hold")
    arguments = parser.parse_args()
    file = ticket_file([arguments.data], arguments.column, None, None)
    texts = texts_of(open_bundle(arguments.bundle), file, arguments.tickets, arguments.seed)
    asyncio.run(run(arguments.bundle, texts, arguments.seed, arguments.verbose))


if __name__ == "__main__":
    main()

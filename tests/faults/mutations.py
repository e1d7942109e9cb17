"""Thousands of damaged and forged bundles, none of which may serve.

Each is a damaged copy, opened as a service opens it (`open_engine`: verify, load the graph, replay). Half of the
services require a signature. `test_bundles.py` is the short form, and sends a sample through a real service; the long
form is `python -m tests.faults.mutations --count 10000`.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from models.bundle.bundle import SIGNATURE, open_bundle
from models.bundle.manifest import Manifest
from models.errors import BundleError
from service.inference.engine import open_engine
from service.settings import Settings
from tests.faults.bundles.damage import DAMAGE, Spoil
from tests.faults.bundles.forgeries import FORGERIES, UNSEEN
from tests.support.signing import Signer, new_signer

ALL: Mapping[str, Spoil] = {**DAMAGE, **FORGERIES, **UNSEEN}
OFTEN = 6
"""This many cases of damage for each forgery: damage is quicker to try, and likelier."""


@dataclass
class Tally:
    """Results of the copies.

    `harmless`: the copy answers as the sound bundle does. Two things can change without effect: the date of an unsigned
    bundle, which the version id leaves out, and a signature's untrusted comment, as minisign calls it.
    """

    refused: Counter[str] = field(default_factory=Counter)
    harmless: int = 0
    served: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)


def spoiled_bundles(
    sound: Path, work: Path, count: int, seed: int, only: str | None = None
) -> Iterator[tuple[str, Path, bool]]:
    """Damaged copies: the kind of change, the folder, and whether the service that opens it requires a signature.

    The seed determines them. `only`: nothing but this kind of damage or forgery.
    """
    for number in range(count):
        random = Random(f"{seed} {number}")
        signed = number % 2 == 1
        kind = only or random.choice(sorted(_kinds(random, signed)))
        folder = work / "spoiled" / sound.name
        shutil.copytree(sound, folder)
        if not signed:
            (folder / SIGNATURE).unlink()
        ALL[kind](folder, random)
        yield f"{number} ({kind}{', signed' if signed else ''})", folder, signed
        shutil.rmtree(folder.parent)


def _kinds(random: Random, signed: bool) -> Mapping[str, Spoil]:
    if random.randrange(OFTEN + 1) < OFTEN:
        return DAMAGE
    return {**FORGERIES, **UNSEEN} if signed else FORGERIES


def run(
    sound: Path, signer: Signer, count: int, seed: int = 0, only: str | None = None, progress: bool = False
) -> Tally:
    """Damage and open copies, half of them with a required signature. `sound` is a signed bundle, and is left
    unchanged."""
    tally = Tally()
    truth = open_bundle(sound, signer.public).manifest
    with tempfile.TemporaryDirectory(prefix="mutations-") as work:
        for number, (name, folder, signed) in enumerate(spoiled_bundles(sound, Path(work), count, seed, only)):
            _judge(tally, name, folder, signer.public if signed else None, truth)
            if progress and number % 500 == 499:
                print(f"{number + 1} of {count}", file=sys.stderr, flush=True)
    return tally


def _judge(tally: Tally, name: str, folder: Path, key: Path | None, truth: Manifest) -> None:
    try:
        served = _serve(folder, key)
    except BundleError as error:
        kind = name.partition("(")[2].rstrip(")")
        tally.refused[kind] += 1
        if not str(error).isprintable():
            tally.crashed.append(f"{name}: more than one line")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic in the tokenizer's Rust code is no Exception
        tally.crashed.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
    else:
        if served.model_copy(update={"created_at": truth.created_at}) == truth:
            tally.harmless += 1
        else:
            tally.served.append(name)


def _serve(folder: Path, key: Path | None) -> Manifest:
    """Open it as a service does, with one session: every session would behave alike."""
    settings = Settings(bundle=folder, bundle_key=key, variant="fp32", device="cpu", runners=1, state_dir=folder.parent)
    return open_engine(settings, lambda _report: None, folder).bundle.manifest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--bundle", type=Path, metavar="FOLDER", help="to spoil copies of; a tiny one is made if absent"
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sound-") as work:
        from tests.support.tiny import tiny_bundle  # imports torch

        sound = Path(work) / "signed"
        shutil.copytree(arguments.bundle or tiny_bundle(Path(work) / "made"), sound)
        signer = new_signer(Path(work))
        tally = run(signer.sign(sound), signer, arguments.count, arguments.seed, progress=True)
    for kind, number in sorted(tally.refused.items()):
        print(f"{number:7} {kind}")
    print(f"refused {tally.refused.total()}, harmless {tally.harmless}, served {len(tally.served)}, ", end="")
    print(f"crashed {len(tally.crashed)}; {time.monotonic() - began:.0f} s")
    print(*tally.served, *tally.crashed, sep="\n", end="")
    return bool(tally.served or tally.crashed)


if __name__ == "__main__":
    sys.exit(main())

"""Builds the images and puts each through its rehearsal.

    python -m tests.image [--images "service service-gpu training"] [--bundle FOLDER]

Root on Debian; no Docker engine and no registry. What is missing of buildah, debootstrap and bubblewrap is installed.
Layers are kept in buildah's store, so that a repeat takes seconds; they and the base grow old there. `buildah rmi --all
--force` lets go of both.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from models import build as code
from models.errors import BundleError
from tests.image.baking import STORE, baking_context, build_baked
from tests.image.base import ensure_base
from tests.image.build import build, config_of, megabytes, mounted, revision
from tests.image.container import Container, Volume, leave_the_network
from tests.image.host import ImageTestError, check, require_tools, step
from tests.image.rehearsal import SCRATCH, rehearse_baked, rehearse_service, rehearse_without_bundle
from tests.image.retraining import rehearse_training

TAGS = {name: f"ticket-router-{name}" for name in ("service", "service-gpu", "training")}
BAKED = "ticket-router-service-baked"
SERVICE_MEGABYTES = 400
"""Most that the image `service` may add to its base."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", default="service training", help=f"some of: {' '.join(TAGS)}")
    parser.add_argument("--bundle", type=Path, help="the bundle to serve; a tiny one where absent")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is mounted is let go of
    try:
        with tempfile.TemporaryDirectory(prefix="image-test-") as scratch:
            run(arguments.images.split(), arguments.bundle, Path(scratch) / "context")
    except (ImageTestError, BundleError) as error:
        print(f"image-test: {error}", file=sys.stderr)
        return 1
    return 0


def run(targets: Sequence[str], bundle: Path | None, context: Path) -> None:
    """Build all that is asked for, then rehearse.

    Raises:
        ImageTestError, BundleError: what went wrong.
    """
    unknown = set(targets) - set(TAGS)
    check(not unknown, f"no such image: {', '.join(sorted(unknown))}; there are {', '.join(TAGS)}")
    require_tools()
    print("building", flush=True)
    base = ensure_base()
    for target in targets:
        build(target, TAGS[target], VERSION=code.build().version, REVISION=revision())
        step(target, TAGS[target])
    store = baking_context(bundle, context) / STORE
    if "service" in targets:
        build_baked(BAKED, context)
    leave_the_network()
    with mounted(base) as root:
        base_megabytes = megabytes(root)
    for target in targets:
        rehearse(target, store, base_megabytes)


def rehearse(target: str, store: Path, base_megabytes: float) -> None:
    print(f"\n{target}")
    with mounted(TAGS[target]) as root:
        added = megabytes(root) - base_megabytes
        step("installed over the base", f"{added:.0f} MB; the base {base_megabytes:.0f} MB")
        config = config_of(TAGS[target])
        if target == "training":
            return rehearse_training(root, config, store)
        container = Container(root, config, (*SCRATCH, Volume("/bundles", store, read_only=True)))
        rehearse_service(container)
        rehearse_without_bundle(container)
    if target == "service":
        check(added <= SERVICE_MEGABYTES, f"{added:.0f} MB are more than {SERVICE_MEGABYTES}")
        with mounted(BAKED) as root:
            rehearse_baked(Container(root, config_of(BAKED), SCRATCH), (store / "current").readlink().name)
    return None


if __name__ == "__main__":
    sys.exit(main())

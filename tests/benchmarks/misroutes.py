"""How often the misroute alarm fires for nothing, and how many closed tickets it needs.

python -m tests.benchmarks.misroutes
"""

import numpy as np
from numpy.typing import NDArray

from service.automation.evidence import RATIOS, THRESHOLD

QUARTER = 10_000


def tickets_until_fired(
    allowed: float, share: float, *, labels: int, most: int, before: int = 0, seed: int = 1
) -> NDArray[np.int64]:
    """For each of so many simulated labels the number of closed tickets, or 0: not within `most`. The tickets `before`
    have exactly the allowed share of moved ones. Without the window, which can only make it fire later."""
    random = np.random.default_rng(seed)
    detectors = np.zeros((len(RATIOS), labels))
    fired = np.zeros(labels, np.int64)
    for number in range(-before, most):
        moved = random.random(labels) < (share if number >= 0 else allowed)
        detectors = (1 + detectors) * likelihood_ratios(allowed, moved)
        if number >= 0:
            fired[(fired == 0) & (detectors.mean(axis=0) >= THRESHOLD)] = number + 1
        if fired.all():
            break
        detectors = np.minimum(detectors, 1e200)  # of those that have fired
    return fired


def likelihood_ratios(allowed: float, moved: NDArray[np.bool_]) -> NDArray[np.float64]:
    larger = np.minimum(np.array(RATIOS) * allowed, (1 + allowed) / 2)[:, None]
    return np.where(moved, larger / allowed, (1 - larger) / (1 - allowed))


def main() -> None:
    print(f"{'promise':>8} {'false':>7}   tickets until 50 % and 95 % of the labels fire, at", *RATIOS, "times as many")
    for allowed in (0.02, 0.05, 0.1):
        false = (tickets_until_fired(allowed, allowed, labels=4000, most=QUARTER) > 0).mean()
        cells = []
        for ratio in RATIOS:
            found = tickets_until_fired(allowed, ratio * allowed, labels=1000, most=4000, before=1000)
            cells.append("/".join(f"{np.percentile(found, share):.0f}" for share in (50, 95)))
        print(f"{1 - allowed:>8.0%} {false:>7.2%}   {'  '.join(cells)}")


if __name__ == "__main__":
    main()

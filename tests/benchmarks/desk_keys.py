"""How long from a key to the next ticket drawn in the desk, in Chromium, while the service is under load.

python -m tests.benchmarks.desk_keys BUNDLE [--tickets 200] [--load TICKETS_PER_SECOND]
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np

from tests.support.desk import chromium, left_to_people
from tests.support.process import Service, serving

# From the key to the frame after the one in which another ticket was put in.
MEASURE = """() => {
  window.times = [];
  let pressed = 0;
  addEventListener("keydown", (event) => { if (event.key === "Enter") pressed = performance.now(); }, true);
  new MutationObserver(() => {
    if (!pressed) return;
    const from = pressed;
    pressed = 0;
    requestAnimationFrame(() => setTimeout(() => window.times.push(performance.now() - from)));
  }).observe(document.getElementById("main"), { childList: true });
}"""


CALLERS = 8


def load(service: Service, caller: int, rate: float, stop: threading.Event) -> None:
    """Send a ticket every 1 / `rate` seconds, whatever the last one took."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        due, number = time.monotonic() + caller / CALLERS / rate, 0
        while not stop.wait(max(0.0, due - time.monotonic())):
            due, number = due + 1 / rate, number + 1
            body = f"Where is parcel {number} of order {caller}? It was promised for Tuesday and has not arrived."
            client.post("/v1/route", json={"id": f"load-{caller}-{number}", "body": body})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--tickets", type=int, default=200)
    parser.add_argument("--load", type=float, default=0.0, help="tickets per second beside it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        flags = ("--state-dir", state, "--desk", "true", "--records-text", "true")
        with serving(options.bundle, *flags) as service, chromium() as browser:
            left_to_people(service, options.tickets + 1)
            stop = threading.Event()
            for caller in range(CALLERS if options.load else 0):
                rate = options.load / CALLERS
                threading.Thread(target=load, args=(service, caller, rate, stop), daemon=True).start()
            page = browser.new_page()
            page.goto(f"{service.url}/desk/")
            page.keyboard.press("j")
            page.keyboard.press("Enter")
            page.wait_for_selector("#decide")
            page.evaluate(MEASURE)
            for number in range(1, options.tickets + 1):
                time.sleep(0.5)  # a person needs longer
                page.keyboard.press("Enter")
                page.wait_for_function(f"window.times.length === {number}")
            times = np.array(page.evaluate("window.times"))
            stop.set()
    shares = {each: round(float(np.percentile(times, each)), 1) for each in (50, 95, 99)}
    print(f"{options.tickets} tickets, {options.load:g} tickets a second beside: ms at the percentiles {shares}")


if __name__ == "__main__":
    main()

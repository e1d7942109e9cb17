import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.helpdesks.django_helpdesk import ROOT


def test_the_demo_shows_its_address_and_leaves_nothing_running_when_it_is_interrupted(tiny_bundle_path: Path) -> None:
    command = [sys.executable, "-m", "tests.helpdesks.demo", "--bundle", str(tiny_bundle_path)]
    demo = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert demo.stdout is not None
    shown = []
    while not shown or "Ctrl-C" not in shown[-1]:
        line = demo.stdout.readline()
        assert line, "".join(shown)
        shown.append(line)
    started = psutil.Process(demo.pid).children(recursive=True)
    assert len(started) >= 2
    os.killpg(demo.pid, signal.SIGINT)
    rest = demo.communicate(timeout=150)[0]
    assert demo.returncode == 0, rest
    assert "nothing is left running" in rest
    assert not [each for each in started if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    page = "".join(shown)
    assert "user ann, password helpdesk" in page
    assert "http://127.0.0.1:" in page

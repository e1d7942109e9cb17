"""Operations on the members under load: announced and unannounced restarts, rollouts, a kill.

Each operation takes one member at a time, and the next only after the previous one is back. `phases.py` records the
cost.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.rollout.members import Member
from tests.benchmarks.rollout.proxy import Proxy

RELOADED = 200


@dataclass(frozen=True, slots=True)
class Moves:
    """`leave_seconds` is the time that a member out of rotation keeps running, as with Kubernetes' preStop."""

    members: Sequence[Member]
    proxy: Proxy
    leave_seconds: float

    def restart(self, bundle: Path) -> None:
        """One by one: out of rotation, SIGTERM, end, start with this bundle, ready, back in."""
        for member in self.members:
            self.proxy.drain(member)
            time.sleep(self.leave_seconds)
            member.stop()
            self._start(member, bundle)
            self.proxy.admit(member)
            self.proxy.wait_until_up(member)

    def restart_unannounced(self, bundle: Path) -> None:
        """One by one; the proxy notices by its health check and by refused connections."""
        for member in self.members:
            member.stop()
            self._start(member, bundle)
            self.proxy.wait_until_up(member)

    def roll_out(self, version: str) -> int:
        """Reload one by one, up to the first refusal. Returns the number of members that serve the version."""
        return sum(1 for _ in self._reloaded(version))

    def kill(self, bundle: Path) -> None:
        """One member dies with its requests in flight, and is started again."""
        member = self.members[0]
        member.kill()
        self._start(member, bundle)
        self.proxy.wait_until_up(member)

    def _reloaded(self, version: str) -> Iterator[Member]:
        for member in self.members:
            if member.reload(version).status_code != RELOADED:
                return
            yield member

    def _start(self, member: Member, bundle: Path) -> None:
        member.start(bundle)
        member.wait_until_ready()

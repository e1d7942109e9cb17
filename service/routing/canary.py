"""`Canary`: a second bundle that answers a stable share of the tickets.

`challengers/challengers.py` gives it to the router. What the canary cannot answer, the serving bundle answers.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, Literal, TypeVar, get_args

from service.errors import InferenceFailed, Overloaded
from service.inference.cache import InferenceResult
from service.routing.lease import Lease
from service.routing.sampling import is_in_share

E = TypeVar("E")

CanaryResult = Literal["answered", "failed", "overloaded"]
"""All but the first: the serving bundle answered."""
CANARY_RESULTS: tuple[CanaryResult, ...] = get_args(CanaryResult)
MAX_FAILURES = 10
"""Tickets in a row that the canary fails before it is withdrawn: one failed run of several tickets may be enough."""


class Canary(Generic[E]):
    """`count`: called for every ticket of the share that needs the model. `withdraw`: called once, after
    `MAX_FAILURES`."""

    def __init__(
        self, engine: E, share: float, count: Callable[[CanaryResult], None], withdraw: Callable[[], None]
    ) -> None:
        self.lease = Lease(engine)
        self.share = share
        self._count = count
        self._withdraw = withdraw
        self._failures = 0

    @property
    def engine(self) -> E:
        return self.lease.engine

    def takes(self, ticket_id: str | None, text_digest: bytes) -> bool:
        return is_in_share(self.share, "canary", ticket_id, text_digest)

    async def answer(self, infer: Callable[[E], Awaitable[InferenceResult]]) -> InferenceResult | None:
        """The result of `infer` with the canary's engine; None: the canary failed or has no room.

        Raises:
            ServiceError: another error, which the serving bundle would meet too.
        """
        self.lease.users += 1
        try:
            result = await infer(self.engine)
        except Overloaded:
            self._count("overloaded")
            return None
        except InferenceFailed:
            result = None
        finally:
            self.lease.release()
        if result is not None and result.verdict.is_valid:
            self._failures = 0
            self._count("answered")
            return result
        self._count("failed")
        self._failures += 1
        if self._failures == MAX_FAILURES:
            self._withdraw()
        return None

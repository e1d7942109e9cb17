"""What a request may ask of the queues: until when, and in whose name. The API makes one for each request."""

from dataclasses import dataclass

from service.allowance import UNLIMITED, Allowance


@dataclass(frozen=True, slots=True)
class Claim:
    """`deadline` in the loop's time: when its tickets need not be run any more. `caller`: whom to be fair to, by the
    name of its key; None where nobody has one, and so nobody is told apart. `allowance`: for all of its tickets."""

    deadline: float
    caller: str | None = None
    allowance: Allowance = UNLIMITED

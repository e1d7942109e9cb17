"""What all connections of one port share. `process/serving.py` makes one for each port."""

from dataclasses import dataclass, field

from service.http.connections import Connections
from service.http.early import Early, never
from service.http.piecewise import TURN_BYTES
from service.http.refusals import Answers, OnRefusal
from service.server.limits import Limits
from service.share import Share


@dataclass(frozen=True, slots=True)
class Door:
    """Its limits, who is inside, how it turns away (by the head alone, and what no application has seen), and its share
    of a turn."""

    limits: Limits
    connections: Connections
    on_refusal: OnRefusal
    early: Early = never
    answers: Answers = field(default_factory=Answers)
    share: Share = field(default_factory=lambda: Share(TURN_BYTES))

"""`Example`: one closed ticket, from the reader to the report.

A training row has four shapes, in this order:

1. `Record` (`data.formats.table`): the cells of one row of the export, as text by column name.
2. `Example` (here): the ticket and its labels. It gains its text in `prepared.prepare_rows` and its weight in
   `draw.weighed`; everything that cleans, divides or frames rows returns other examples.
3. `EncodedExamples` (`learn.rows`): columns for the network, the examples' token ids and label numbers.
4. `Predictions` (`evaluation.measured`): columns for the report, the examples with one field's logits and outcomes.
   Calibration needs the numbers alone: `Scored` (`calibration.predictions`) is the part of it without the examples.

`training check` streams millions of rows, so it keeps columns of numbers (`data.tally`) and no example.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from models.label_source import LabelSource
from models.ticket import Ticket


@dataclass(frozen=True, slots=True)
class Example:
    """One closed ticket: its content, and each field's value at close (None: not given, or not to be learned)."""

    line: int
    """The row's place over all files; no two examples share it, but for copies of one."""
    ticket: Ticket
    labels: Mapping[str, str | None]
    split: str = ""
    """The part that the file assigns; empty: none."""
    created_at: datetime | None = None
    """Time of arrival, with a time zone; None: not given."""
    thread: str = ""
    """Id of the conversation; empty: not given. The requester is `ticket.sender`."""
    language: str = ""
    label_source: LabelSource | None = None
    """Source of the department; None: not given, a person's."""
    out_of_scope: bool = False
    """Whether the labels file declares its label out of scope: its department is None, and it is never learned."""
    answer: str = ""
    """What was answered, where the file says and it was asked for. Never learned."""
    text: str = ""
    """The network's input; empty: not prepared yet."""
    weight: float = 1.0
    """In training."""

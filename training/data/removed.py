"""What is left out before training, by reason: one value that `contract`, `split` and `metrics.json` share."""

from models.bundle.manifest import Frozen


class Removed(Frozen):
    """Rows left out before training, by reason."""

    empty: int = 0
    duplicates: int = 0
    conflicting: int = 0
    """Of the duplicates, those whose department was not the kept row's."""
    near_duplicates: int = 0
    """Rows to learn from that nearly repeat a validation, calibration or test row of the file's own."""
    unchecked: int = 0
    """Labels that the router itself set and nobody checked (`label_source`)."""
    not_closed: int = 0
    """Tickets whose status says that nobody has decided yet."""
    retired: int = 0
    """Rows of labels that the labels file retires."""
    scarce: int = 0
    """Training and validation rows of departments with fewer than `data.minimum_rows` training rows."""
    old: int = 0
    """Rows from before `data.months`."""
    suspects: int = 0

"""Folds: related rows stay together, every model knows every label."""

import numpy as np

from training.data.draw import ALWAYS_TRAINED, draw_folds

LINES = list(range(2, 122))
LABELS = np.array([[line % 4] for line in LINES])


def test_every_fold_has_its_share_of_each_label() -> None:
    folds = draw_folds(LINES, LABELS, [], 6, seed=1)
    for label in range(4):
        assert np.bincount(folds[LABELS[:, 0] == label], minlength=6).tolist() == [5] * 6


def test_rows_of_a_group_share_a_fold() -> None:
    groups = [(2, 5, 9), tuple(range(20, 34))]
    folds = draw_folds(LINES, LABELS, groups, 6, seed=1)
    for group in groups:
        assert len({int(folds[LINES.index(line)]) for line in group}) == 1


def test_a_label_of_a_single_group_is_always_trained_on_and_never_tested() -> None:
    """Otherwise its fold's model would lack the label. Labels of further fields count too."""
    labels = np.column_stack([LABELS[:, 0], np.zeros(len(LINES), int)])
    labels[:3, 0], labels[10:13, 1] = 4, 1
    folds = draw_folds(LINES, labels, [LINES[:3], LINES[10:13]], 6, seed=1)
    assert np.flatnonzero(folds == ALWAYS_TRAINED).tolist() == [0, 1, 2, 10, 11, 12]


def test_the_seed_determines_the_folds() -> None:
    first, again, other = (draw_folds(LINES, LABELS, [], 3, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()

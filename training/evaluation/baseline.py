"""The baseline, always trained: TF-IDF with a linear model. An encoder must beat it to justify its cost."""

from collections.abc import Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from models.bundle.manifest import Frozen
from models.errors import TicketRouterError


class BaselineFigures(Frozen):
    """The baseline's figures on one part's rows, for one field."""

    accuracy: float
    macro_f1: float
    rows: int


def train_baseline(texts: Sequence[str], labels: Sequence[str], seed: int) -> Any:
    """Words and pairs of words, sublinear term frequency, a linear support vector machine.

    Raises:
        TicketRouterError: the texts contain no word.
    """
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode")
    model = make_pipeline(vectorizer, LinearSVC(random_state=seed))
    try:
        model.fit(texts, labels)
    except ValueError as error:  # scikit-learn's "empty vocabulary"
        raise TicketRouterError("the training texts hold no words; is the text column the right one?") from error
    return model


def baseline_figures(model: Any, texts: Sequence[str], labels: Sequence[str]) -> BaselineFigures:
    """Accuracy, and macro-F1 over the labels that occur in these rows or in the answers."""
    predicted = model.predict(texts)
    return BaselineFigures(
        accuracy=float(accuracy_score(labels, predicted)),
        macro_f1=float(f1_score(labels, predicted, average="macro", zero_division=0)),
        rows=len(labels),
    )

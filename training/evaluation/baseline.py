"""The baseline, always trained: TF-IDF with a linear model. An encoder must beat it to justify its cost."""

from collections.abc import Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from models.errors import TicketRouterError
from training.evaluation.metrics import AccuracyFigures, accuracy_figures


def train_baseline(texts: Sequence[str], labels: Sequence[str], weights: Sequence[float], seed: int) -> Any:
    """Words and pairs of words, sublinear term frequency, a linear support vector machine.

    Raises:
        TicketRouterError: the texts contain no word.
    """
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode")
    model = make_pipeline(vectorizer, LinearSVC(random_state=seed))
    try:
        model.fit(texts, labels, linearsvc__sample_weight=weights)
    except ValueError as error:  # scikit-learn's "empty vocabulary"
        raise TicketRouterError("the training texts hold no words; is the text column the right one?") from error
    return model


def baseline_figures(model: Any, texts: Sequence[str], labels: Sequence[str]) -> AccuracyFigures:
    return accuracy_figures(labels, model.predict(texts))

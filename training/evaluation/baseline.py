"""The baseline, always trained: TF-IDF with a linear model. An encoder must beat it to justify its cost."""

from collections.abc import Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from models.errors import TicketRouterError
from training.data.example import Example
from training.evaluation.metrics import AccuracyFigures, accuracy_figures


def train_baseline(examples: Sequence[Example], field: str, seed: int) -> Any:
    """Words and pairs of words, sublinear term frequency, a linear support vector machine. Every example needs a value
    of the field.

    Raises:
        TicketRouterError: the texts contain no word.
    """
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode")
    model = make_pipeline(vectorizer, LinearSVC(random_state=seed))
    try:
        model.fit(
            [example.text for example in examples],
            [str(example.labels[field]) for example in examples],
            linearsvc__sample_weight=[example.weight for example in examples],
        )
    except ValueError as error:  # scikit-learn's "empty vocabulary"
        raise TicketRouterError("the training texts hold no words; is the text column the right one?") from error
    return model


def baseline_figures(model: Any, examples: Sequence[Example], field: str) -> AccuracyFigures:
    wanted = [str(example.labels[field]) for example in examples]
    return accuracy_figures(wanted, model.predict([example.text for example in examples]))

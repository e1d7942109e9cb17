"""Which parts of a text spoke for and against a label: n-grams at once, sentences and words by leaving them out."""

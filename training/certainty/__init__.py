"""Honest certainty: temperature, and thresholds that carry a promise.

`calibrate` is the story; `graded` what all its steps look at, `temperature`, `scope`, `plan` and `cost` its steps,
`sequence` the tests themselves, `curve` the same for several targets.
"""

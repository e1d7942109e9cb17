"""Logits → temperatures, and thresholds with their promise.

`calibrate` is the entry; `predictions` is the input of every step, `temperature`, `out_of_scope`, `threshold_plan` and
`cost` are its steps, `threshold_tests` the statistical tests, `precision_curve` the same for several targets.
"""

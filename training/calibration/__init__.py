"""Logits → temperatures, and thresholds with their promise.

`calibrate` is the entry. `predictions` is the input of every step; `temperature`, `out_of_scope` and `threshold_plan`
are the steps, `threshold_tests` has the statistical tests, `precision_curve` does the same for several targets.
"""

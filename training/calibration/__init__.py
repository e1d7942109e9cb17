"""Logits → temperatures and thresholds with a guaranteed precision.

`calibrate` is the entry point. Every step reads `predictions`; `temperature`, `out_of_scope` and `threshold_plan` are
the steps. `threshold_tests` holds the statistical tests; `precision_curve` repeats the procedure for several targets.
"""

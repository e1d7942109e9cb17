"""The autoscaler's rule, replayed in a simulation against a day of traffic.

`rule.py` reads the rule that Kubernetes is given, `hpa.py` is Kubernetes' algorithm, `traffic.py` makes the day,
`pods.py` the pods, `cluster.py` lets them meet, `figures.py` and `plot.py` show what came of it. `validate.py` compares
the simulated pod with the real service.
"""

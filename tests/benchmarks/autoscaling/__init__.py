"""A simulation of the autoscaler's rule under a day of traffic.

`rule.py` reads the rule that Kubernetes is given, `hpa.py` is Kubernetes' algorithm, `traffic.py` makes the day,
`pods.py` the pods, `cluster.py` runs the simulation, `figures.py` and `plot.py` show the results. `validate.py`
compares the simulated pod with the real service.
"""

"""The stages of a run, one file each, in this order: request, dataset, trained, calibrated, metrics, write_bundle.

Each stage returns a frozen value. `training.commands.train` and `training.commands.distil` share the stages.
"""

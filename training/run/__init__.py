"""The stages of a run, a file each, in this order: request, dataset, trained, calibrated, metrics, write_bundle.

Each ends in a frozen value. `training.commands.train` and `training.commands.distil` are the two runs that share them.
"""

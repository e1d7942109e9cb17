"""The stages of a run, each ending in a frozen value: request → material → judged → record → bundle.

`training.commands.train` and `training.commands.distil` tell the story; what they share lives here.
"""

"""The stages of a run, each ending in a frozen value: request → material → judged → record → bundle.

`training.pipeline` and `training.distil` tell the story; what they share lives here.
"""

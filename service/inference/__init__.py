"""From token ids to logits: packing, running, and the plan of how this machine runs them best."""

"""Closed tickets → a checked bundle. `training` writes bundles, `service` serves them; both use `models`."""

"""From closed tickets to a bundle that earned its place. Writes bundles; `service` opens them; both know `models`."""

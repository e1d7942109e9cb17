"""What a first bundle will do, from the tickets alone: the share that it routes, and how long training takes."""

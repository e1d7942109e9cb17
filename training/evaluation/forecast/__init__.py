"""What a run will give, and how long it takes, before anything is trained."""

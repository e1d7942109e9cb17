"""A rehearsal of scale-out: three services behind a real proxy are restarted, reloaded and killed, under load."""

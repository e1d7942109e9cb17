"""The management port: health, metrics, documents, reloads, and what the process knows of its memory."""

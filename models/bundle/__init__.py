"""The folder that training hands over: its manifest, its golden rows, its signature, and how it is opened and written."""

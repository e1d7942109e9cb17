"""The folder that training hands over: manifest, golden rows, signature, and how it is written and opened."""

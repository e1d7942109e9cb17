"""The REST surface: its shapes, how bytes become them, and the routes."""

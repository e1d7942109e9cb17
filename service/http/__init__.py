"""What every request passes whatever it asks: its id, its count, its limits, and the one table of errors."""

"""How good a bundle is, for which tickets, and where it is not."""

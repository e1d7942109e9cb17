"""How a bundle answers changed and strange mail."""

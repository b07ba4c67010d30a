"""How well the bundled pair does."""

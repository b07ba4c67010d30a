"""The bundled pair of checkpoints: its world, its training, its scores."""

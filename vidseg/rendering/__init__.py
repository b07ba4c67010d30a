"""Overlays, cut-outs, mattes and contact sheets of tracked objects."""

"""Overlays, cut-outs, mattes and sheets from tracked frames."""

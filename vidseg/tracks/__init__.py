"""Tracked frames, and the tracks file that keeps them."""

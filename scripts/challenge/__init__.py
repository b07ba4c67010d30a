"""Clips where tracks get lost, and how well trackers do on them."""

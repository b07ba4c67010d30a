"""Runs every command of the README as it is written, in a fresh clone."""

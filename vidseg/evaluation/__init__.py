"""Results measured against the truth."""

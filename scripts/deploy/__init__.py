"""vidseg as a service."""

"""`vidseg serve`: a page and an HTTP API around the public Python API. Needs the extra `web`."""

"""What one visitor may ask of the server."""

BYTES = 1 << 30  # of one upload
JSON = 64 << 20  # bytes of any other request
STORED = 4 << 30  # bytes of all uploads of a session
PIXELS = 40_000_000  # of a picture, or of a frame
SECONDS = 3600  # of a clip
MEDIA = 32  # pictures and clips of a session
SESSIONS = 200
JOBS = 12  # of a session: older ones that have ended go, with their files
WAIT = 20.0  # s without a byte after which an upload is given up
SLOWEST = 4096  # bytes/s that an upload must reach on average, once it has lasted for WAIT
EMBEDDINGS = 12  # pictures of all sessions that are kept encoded

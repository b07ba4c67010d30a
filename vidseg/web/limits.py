"""What one visitor may ask of the server."""

UPLOAD_BYTES = 1 << 30
REQUEST_BYTES = 64 << 20  # of a request that is no upload
SESSION_BYTES = 4 << 30  # all uploads of a session
PIXELS = 40_000_000  # of a picture, or of a frame
SECONDS = 3600  # of a clip
MEDIA = 32  # pictures and clips of a session
SESSIONS = 200
JOBS = 12  # of a session; the oldest that have ended go first, with their files
STALL_SECONDS = 20.0  # without a byte, after which an upload is given up
UPLOAD_RATE = 4096  # bytes/s that an upload must reach on average, once it has lasted for STALL_SECONDS
EMBEDDINGS = 12  # encoded pictures that are kept, of all sessions together

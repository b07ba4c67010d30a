"""The HTTP server, which ends quietly."""

from __future__ import annotations

import logging
import socket

import uvicorn
from fastapi import FastAPI


class GracefulServer(uvicorn.Server):
    """uvicorn, but Ctrl-C first ends the event streams, which would otherwise last as long as their jobs."""

    def __init__(self, app: FastAPI):
        super().__init__(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2, access_log=False))
        self._server = app.state.server

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams, then do what uvicorn does."""
        self._server.closing = True
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a request cut off now is not an error
        await super().shutdown(sockets)

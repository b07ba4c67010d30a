"""The HTTP server, which ends without fuss."""

from __future__ import annotations

import logging
import socket

import uvicorn
from fastapi import FastAPI


class Serving(uvicorn.Server):
    """uvicorn, but Ctrl-C first ends the streams of events, which else last as long as their jobs."""

    def __init__(self, app: FastAPI):
        super().__init__(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2, access_log=False))
        self._server = app.state.server

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._server.closing = True
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a request that is cut off now is no fault
        await super().shutdown(sockets)

"""The application: one model, the visitors' sessions, and the page."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import vidseg
from vidseg.errors import VidsegError
from vidseg.web import limits, routes
from vidseg.web.fair_lock import FairLock
from vidseg.web.sessions import Media, Sessions

if TYPE_CHECKING:
    from vidseg.image.embedded import EmbeddedImage
    from vidseg.model import Model

STATIC = Path(__file__).parent / "static"
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
CONTENT_POLICY = (
    b"content-security-policy",
    b"default-src 'self'; img-src 'self' blob: data:; style-src 'self'; object-src 'none'; base-uri 'none'; "
    b"form-action 'none'",
)


class Server:
    """What all requests share.

    Args:
        model: what segments and tracks.
        token: what a visitor must know to begin a session; None: nothing.
        idle_s: seconds without a request after which a session is removed.

    Attributes:
        model: only the holder of `model_lock` may use it.
        model_lock: hands the model round.
        sessions: of the visitors.
        segment_pool: segments images; one thread, because each thread that runs a network keeps memory of its own.
        track_pool: tracks clips, one after the other.
        result_pool: writes results, which needs no model.
        closing: the server is ending, and event streams should end.
    """

    def __init__(self, model: Model, token: str | None, idle_s: float):
        self.model, self._token = model, token
        self.model_lock, self.sessions, self.closing = FairLock(), Sessions(idle_s), False
        self.segment_pool = ThreadPoolExecutor(1, thread_name_prefix="segment")
        self.track_pool = ThreadPoolExecutor(1, thread_name_prefix="track")
        self.result_pool = ThreadPoolExecutor(2, thread_name_prefix="results")
        self._embedded: OrderedDict[tuple[str, int], EmbeddedImage] = OrderedDict()

    @property
    def token_needed(self) -> bool:
        """Whether visitors must know a token."""
        return self._token is not None

    def check_visitor(self, request: Request) -> None:
        """HTTPException if this request may not begin a session: it is of another site's page, or has no token."""
        if request.headers.get("sec-fetch-site") == "cross-site":
            raise HTTPException(
                403, "another page may not begin a session here; open the address that vidseg serve printed"
            )
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if self._token is not None and not secrets.compare_digest(given.encode(), self._token.encode()):
            raise HTTPException(
                401, "this server wants its token; open the address that it printed", {"WWW-Authenticate": "Bearer"}
            )

    def embedded(self, media: Media, index: int) -> EmbeddedImage:
        """A frame, encoded; the latest ones are kept. For the holder of `model_lock`. IndexError past the end."""
        key = media.id, index
        if key not in self._embedded:
            self._embedded[key] = self.model.embed(media.reader.at(index))
            while len(self._embedded) > limits.EMBEDDINGS:
                self._embedded.popitem(last=False)
        self._embedded.move_to_end(key)
        return self._embedded[key]

    def forget(self, gone: Sequence[Media]) -> None:
        """Drop the encoded frames of pictures and clips that are gone."""
        ids = {media.id for media in gone}
        with self.model_lock.hold():
            for key in [key for key in self._embedded if key[0] in ids]:
                del self._embedded[key]

    def end(self, session: str) -> None:
        """End the session of that id. KeyError if it has ended before."""
        self.forget(self.sessions.end(session))

    async def remove_idle_sessions(self) -> None:
        """Remove idle sessions from time to time, until cancelled."""
        while True:
            await asyncio.sleep(min(30.0, self.sessions.idle_s / 4))
            for session in self.sessions.idle():
                with contextlib.suppress(KeyError):
                    await asyncio.to_thread(self.end, session)

    def close(self) -> None:
        """Cancel all work and remove all files."""
        self.sessions.close()  # cancels all jobs
        for pool in (self.segment_pool, self.track_pool, self.result_pool):
            pool.shutdown(cancel_futures=True)
        self.sessions.close()  # and what they still wrote before they noticed


class BodyLimit:
    """Refuses large requests before they fill the memory. Uploads go to a file, and have a limit of their own."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. HTTPException once its body is too large."""
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limits.REQUEST_BYTES:
                raise HTTPException(413, f"the request is too large: {limits.REQUEST_BYTES >> 20} MiB at most")
            return message

        is_limited = scope["type"] == "http" and not scope["path"].endswith("/media")
        await self._app(scope, limited_receive if is_limited else receive, send)


class SecurityHeaders:
    """Adds headers to all answers. The pages of /docs load scripts from elsewhere, and have no content policy."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                is_docs = scope["path"].startswith("/docs")
                extra = SECURITY_HEADERS if is_docs else [*SECURITY_HEADERS, CONTENT_POLICY]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def create_app(
    model: Model, *, token: str | None = None, idle_s: float = 1800, hosts: Sequence[str] | None = None
) -> FastAPI:
    """The web application for one model.

    Args:
        model: one request at a time uses it.
        token: what visitors must know to begin a session; None: nothing.
        idle_s: seconds without a request after which a session and its files are removed.
        hosts: names by which the server may be addressed; None: any. (Otherwise a page elsewhere whose name resolves to
            this machine could talk to it.)
    """
    server = Server(model, token, idle_s)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        cleaner = asyncio.create_task(server.remove_idle_sessions())
        yield
        cleaner.cancel()
        await asyncio.to_thread(server.close)

    app = FastAPI(
        title="vidseg", version=vidseg.__version__, description=__doc__ or "", lifespan=lifespan, redoc_url=None
    )
    app.state.server = server
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders)
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    @app.exception_handler(VidsegError)
    async def refuse(request: Request, error: VidsegError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    app.include_router(routes.router)
    app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")
    return app

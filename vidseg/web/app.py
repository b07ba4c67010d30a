"""The application: one model, the visitors' sessions, and the page."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

import vidseg
from vidseg.errors import VidsegError
from vidseg.web import limits, routes
from vidseg.web.sessions import Media, Session, Sessions
from vidseg.web.turns import Turns

if TYPE_CHECKING:
    from vidseg.image.embedded import EmbeddedImage
    from vidseg.model import Model

STATIC = Path(__file__).parent / "static"
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
POLICY = (
    b"content-security-policy",
    b"default-src 'self'; img-src 'self' blob: data:; style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'",
)


class Server:
    """What all requests share.

    Attributes:
        model: used by one at a time, as `turns` decides.
        sessions: of the visitors.
        clicks: where images are segmented: in one thread, as each that runs a network keeps memory of its own.
        runs: where clips are tracked: one after the other.
        makers: where results are written, which needs no model.
        closing: the server is ending; no answer should go on.
    """

    def __init__(self, model: Model, token: str | None, idle_s: float):
        self.model, self._token = model, token
        self.turns, self.sessions, self.closing = Turns(), Sessions(idle_s), False
        self.clicks = ThreadPoolExecutor(1, thread_name_prefix="segment")
        self.runs = ThreadPoolExecutor(1, thread_name_prefix="track")
        self.makers = ThreadPoolExecutor(2, thread_name_prefix="results")
        self._embedded: OrderedDict[tuple[str, int], EmbeddedImage] = OrderedDict()

    @property
    def token_needed(self) -> bool:
        return self._token is not None

    def check_visitor(self, request: Request) -> None:
        """HTTPException for who may not begin a session: a page elsewhere, or somebody without the token."""
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
        """A frame, encoded; the latest ones are kept. For who has the turn. IndexError past the end."""
        key = media.id, index
        if key not in self._embedded:
            self._embedded[key] = self.model.embed(media.reader.at(index))
            while len(self._embedded) > limits.EMBEDDINGS:
                self._embedded.popitem(last=False)
        self._embedded.move_to_end(key)
        return self._embedded[key]

    def forget(self, gone: Sequence[Media]) -> None:
        """Let go of what was kept for these."""
        ids = {media.id for media in gone}
        with self.turns.turn():
            for key in [key for key in self._embedded if key[0] in ids]:
                del self._embedded[key]

    def end(self, session: Session) -> None:
        self.forget(self.sessions.end(session.id))

    async def sweep(self) -> None:
        """Remove sessions that nobody uses, for ever."""
        while True:
            await asyncio.sleep(min(30.0, self.sessions.idle_s / 4))
            for session in self.sessions.idle():
                with contextlib.suppress(KeyError):
                    await asyncio.to_thread(lambda: self.forget(self.sessions.end(session)))

    def close(self) -> None:
        self.sessions.close()  # cancels all jobs
        for pool in (self.clicks, self.runs, self.makers):
            pool.shutdown(cancel_futures=True)
        self.sessions.close()  # and what they wrote until they noticed


class Bounded:
    """Refuses requests with large bodies before they lie in memory. Uploads, which go to a file, have bounds of their own."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        received = 0

        async def receiving():
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limits.JSON:
                raise HTTPException(413, f"the request is too large: {limits.JSON >> 20} MiB at most")
            return message

        bounded = scope["type"] == "http" and not scope["path"].endswith("/media")
        await self._app(scope, receiving if bounded else receive, send)


class Headers:
    """Adds headers to all answers. The pages of /docs load their own scripts, and go without the policy."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        async def sending(message):
            if message["type"] == "http.response.start":
                extra = HEADERS if scope["path"].startswith("/docs") else [*HEADERS, POLICY]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


def create_app(
    model: Model, *, token: str | None = None, idle_s: float = 1800, hosts: Sequence[str] | None = None
) -> FastAPI:
    """The web application for one model.

    Args:
        model: it is used by one request at a time.
        token: what visitors must know to begin a session; None: nothing.
        idle_s: seconds without a request after which a session and its files are removed.
        hosts: names under which the server may be addressed; None: any. (A page elsewhere that has its name resolved to
            this machine could else talk to it.)
    """
    server = Server(model, token, idle_s)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        sweeping = asyncio.create_task(server.sweep())
        yield
        sweeping.cancel()
        await asyncio.to_thread(server.close)

    app = FastAPI(title="vidseg", version=vidseg.__version__, description=__doc__, lifespan=lifespan, redoc_url=None)
    app.state.server = server
    app.add_middleware(Bounded)
    app.add_middleware(Headers)
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    @app.exception_handler(VidsegError)
    async def refused(request: Request, error: VidsegError):
        return JSONResponse({"detail": str(error)}, 422)

    app.include_router(routes.router)
    app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")
    return app

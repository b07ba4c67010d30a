"""`vidseg serve`."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import threading
import webbrowser
from urllib.parse import quote

import click

import vidseg
from vidseg.commands.console import status
from vidseg.commands.options import model_options
from vidseg.errors import InputError, VidsegError


@click.command()
@model_options
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 for all, which others can reach.",
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes one that is free."
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
def serve(preset, sam, detector, device, dtype, sharpen, compile, host, port, open_page) -> None:
    """Serve a page on which to drop pictures and clips, name or click objects, and watch their masks.

    Others can reach it only with another --host; it then wants a token: that of the environment variable VIDSEG_TOKEN, or one
    that is made up and printed. The API is described at /docs.
    """
    try:
        from vidseg.web.app import create_app
        from vidseg.web.serving import Serving
    except ModuleNotFoundError as error:
        raise VidsegError('vidseg serve needs the web extra: pip install "vidseg[web]"') from error

    listening = bound(host, port)  # before the seconds that loading takes
    port = listening.getsockname()[1]
    local = is_loopback(host)
    token = os.environ.get("VIDSEG_TOKEN") or (None if local else secrets.token_urlsafe(16))
    with status(f"Loading {preset}"):
        from vidseg.commands.fast_start import load_quickly

        model = vidseg.load(
            preset, sam=sam, detector=detector, device=device, dtype=dtype, sharpen=sharpen, compile=compile
        )
        load_quickly(model, model.names["detector"] is not None)
        leave_a_core()
    # With a token, a page elsewhere can do nothing, whatever name it goes by; and a proxy may have a name of its own.
    app = create_app(model, token=token, hosts=None if token else ["127.0.0.1", "localhost", host, f"[{host}]"])
    name = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    secret = f"#token={quote(token, safe='')}" if token else ""
    address = f"http://{name}:{port}/{secret}"
    click.echo(f"vidseg is at {address} (Ctrl-C ends it)")
    if open_page:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    try:
        Serving(app).run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # that is how it ends
    click.echo("vidseg has ended; all uploads are removed")


def leave_a_core() -> None:
    """Torch's threads wait for each other, and one that shares its core with a browser holds up all."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() - 1))


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. InputError if it cannot."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()  # who comes now waits for the model, and nobody else gets the port
        return listening
    except OSError as error:
        raise InputError(
            f"cannot listen on port {port} of {host} ({error.strerror}); choose another --port or --host"
        ) from None


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

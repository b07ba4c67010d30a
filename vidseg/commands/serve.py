"""`vidseg serve`."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import socket
import threading
import webbrowser
from urllib.parse import quote

import click

from vidseg.commands.model_choice import ModelChoice, model_options
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
def serve(choice: ModelChoice, host: str, port: int, open_page: bool) -> None:
    """Serve a page on which to drop pictures and clips, name or click objects, and watch their masks.

    Others can reach it only with another --host; it then asks for a token: the environment variable VIDSEG_TOKEN, or
    one that is made up and printed. The API is described at /docs.
    """
    try:
        from vidseg.web.app import create_app
        from vidseg.web.serving import GracefulServer
    except ModuleNotFoundError as error:
        raise VidsegError('vidseg serve needs the web extra: pip install ".[web]" in the clone of vidseg') from error

    listening = listen(host, port)  # before the seconds that loading takes
    port = listening.getsockname()[1]
    local = is_loopback(host)
    token = os.environ.get("VIDSEG_TOKEN") or (None if local else secrets.token_urlsafe(16))
    model = choice.load()
    free_a_core()
    # With a token, a page elsewhere can do nothing, whatever name it uses; and a proxy may have a name of its own.
    app = create_app(model, token=token, hosts=None if token else ["127.0.0.1", "localhost", host, f"[{host}]"])
    name = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    secret = f"#token={quote(token, safe='')}" if token else ""
    address = f"http://{name}:{port}/{secret}"
    click.echo(f"vidseg is at {address} (Ctrl-C ends it)")
    if open_page:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    with contextlib.suppress(KeyboardInterrupt):  # that is how it ends
        GracefulServer(app).run(sockets=[listening])
    click.echo("vidseg has ended; all uploads are removed")


def free_a_core() -> None:
    """Leave a core to the browser: torch's threads wait for each other, so one that shares its core delays all."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() - 1))


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        InputError: it cannot, for example because the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()  # from now on visitors wait for the model, and no other program can take the port
        return listening
    except OSError as error:
        raise InputError(
            f"cannot listen on port {port} of {host} ({error.strerror}); choose another --port or --host"
        ) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

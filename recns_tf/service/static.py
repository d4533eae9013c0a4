"""The page: files of the package, served with headers that let it load nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources

from fastapi import FastAPI, Response

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""By its path, the name and the type of each file in the folder page/."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # A browser asks again after the program was updated.
    "Cache-Control": "no-cache",
}


def add_page(app: FastAPI) -> None:
    """Make an application answer with the files of the page."""
    folder = resources.files("recns_tf.service") / "page"
    for path, (name, kind) in FILES.items():
        content = (folder / name).read_bytes()
        app.add_api_route(path, sender(content, kind), include_in_schema=False)


def sender(content: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    """Return a function that answers with some bytes of a type."""

    async def send() -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    return send

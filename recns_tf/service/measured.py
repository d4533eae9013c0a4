"""Counts and times every request."""

from __future__ import annotations

import time
from collections.abc import Container

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recns_tf.service.measures import Measures


class Measured:
    """ASGI middleware that observes the status and the time of each answer.

    Starlette's own base class for middleware takes longer than the rest of a small request.

    Args:
        app: the application.
        measures: where to count.
        paths: the paths with a label of their own. Others share one, so that labels do not grow
            with what clients make up.
    """

    def __init__(self, app: ASGIApp, measures: Measures, paths: Container[str]):
        self.app = app
        self.measures = measures
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            path = scope["path"] if scope["path"] in self.paths else "other"
            self.measures.requests.labels(path, str(status)).inc()
            self.measures.seconds.labels(path).observe(time.perf_counter() - started)

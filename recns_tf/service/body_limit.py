"""Refuses requests whose body is too long, before it is in memory."""

from __future__ import annotations

from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TooLong(Exception):
    """The body of a request is longer than allowed."""


class BodyLimit:
    """ASGI middleware that answers 413 to bodies of more than `most` bytes.

    Args:
        app: the application.
        most: bytes allowed.
    """

    def __init__(self, app: ASGIApp, most: int):
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.most:
                raise TooLong
            return message

        async def watched(message: Message) -> None:
            # What the application makes of the interrupted body is not sent.
            if taken <= self.most:
                await send(message)

        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) <= self.most:
            with suppress(TooLong):
                await self.app(scope, limited, watched)
            if taken <= self.most:
                return
        sentence = f"the body is longer than {self.most:,} bytes."
        await JSONResponse({"error": sentence}, 413)(scope, receive, send)

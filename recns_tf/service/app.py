"""The HTTP interface: paths, their checks, and what goes wrong in one sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

import recns_tf
from recns_tf.errors import UserError
from recns_tf.service import lookups, static
from recns_tf.service.batching import Busy
from recns_tf.service.body_limit import BodyLimit
from recns_tf.service.current import Current, Loaded
from recns_tf.service.engine import SIMILAR_ITEMS, USERS, Scored, UnknownId
from recns_tf.service.engine import Query as Asked
from recns_tf.service.measured import Measured
from recns_tf.service.measures import Measures
from recns_tf.service.messages import (
    LONGEST_ID,
    EmbedBody,
    Embeddings,
    Entry,
    Health,
    Lists,
    Problem,
    RecommendBody,
    SimilarBody,
)
from recns_tf.utils.text import printable

BODY_BYTES = 1_000_000
"""Longest body of a request."""

RELOAD_SECONDS = 2.0
"""Time between looks at the folder of the run."""

PATHS = (
    "/recommend", "/similar", "/embed", "/users", "/history", "/negatives", "/health", "/metrics"
)  # fmt: skip
ID_TYPES = ("int", "str", "constrained-str")
"""What pydantic calls the types of an id, at the end of the place of an error."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem},
    404: {"model": Problem},
    413: {"model": Problem},
    422: {"model": Problem},
    503: {"model": Problem},
}


def create_app(current: Current, measures: Measures, reload: float = RELOAD_SECONDS) -> FastAPI:
    """Return the application that serves a run.

    Args:
        current: the run.
        measures: what it measures of itself.
        reload: seconds between looks at the folder of the run.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(current.watch(reload))
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher

    app = FastAPI(
        title="recns_tf",
        version=recns_tf.__version__,
        description="Recommendations of a trained run.",
        lifespan=lifespan,
    )
    add_refusals(app)
    app.add_middleware(BodyLimit, most=BODY_BYTES)
    app.add_middleware(Measured, measures=measures, paths=(*PATHS, *static.FILES))

    @app.post("/recommend", responses=REFUSALS)
    async def recommend(body: RecommendBody) -> Lists:
        """Return the items with the largest scores for each user or history."""
        loaded = current.loaded
        engine = loaded.engine
        require_k(body.k, engine.data.num_items, "items")
        if body.users is not None:
            queries = [engine.user_query(user, body.k, body.include_seen) for user in body.users]
        else:
            queries = [
                engine.history_query(history, body.k, body.include_seen)
                for history in body.histories or ()
            ]
        return await lists_of(loaded, queries)

    @app.post("/similar", responses=REFUSALS)
    async def similar(body: SimilarBody) -> Lists:
        """Return the items, or users, with the most similar embeddings."""
        loaded = current.loaded
        engine = loaded.engine
        ids, values = (
            (engine.items, body.items) if body.items is not None else (engine.users, body.users)
        )
        queries = [engine.similar_query(ids, value, body.k) for value in values or ()]
        require_k(body.k, engine.most(queries[0].kind), f"other {ids.kind}s")
        return await lists_of(loaded, queries)

    @app.post("/embed", responses=REFUSALS)
    async def embed(body: EmbedBody) -> Embeddings:
        """Return the embeddings of users, items or histories."""
        engine = current.loaded.engine
        if body.histories is not None:
            numbers = [engine.history_query(each, 1).numbers for each in body.histories]
            found = await asyncio.to_thread(engine.embed_histories, numbers)
        elif body.items is not None:
            found = engine.embeddings_of(engine.items, body.items)
        else:
            found = engine.embeddings_of(engine.users, body.users or ())
        return Embeddings(run=engine.run.name, embeddings=found.tolist())

    add_lookups(app, current)
    static.add_page(app)

    @app.get("/health")
    async def health() -> Health:
        """Return what is served, and whether a newer run could not be loaded."""
        loaded = current.loaded
        data = loaded.engine.data
        return Health(
            status="stale" if current.problem else "ok",
            run=loaded.engine.run.name,
            since=loaded.since,
            dataset=data.name,
            users=data.num_users,
            items=data.num_items,
            problem=current.problem,
        )

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """Return counters and times in the text format of Prometheus."""
        measures.set_run(current.loaded.engine.run.name, current.loaded.since)
        return PlainTextResponse(measures.text(), media_type="text/plain; version=0.0.4")

    return app


def add_lookups(app: FastAPI, current: Current) -> None:
    """Make an application answer the questions about one user or item that the page asks."""

    @app.get("/users", responses=REFUSALS)
    async def users(wanted: Annotated[lookups.UsersLookup, Query()]) -> lookups.Users:
        """Return users whose id contains a text."""
        explainer = current.loaded.explainer
        return await asyncio.to_thread(explainer.users, wanted.search, wanted.start, wanted.limit)

    @app.get("/history", responses=REFUSALS)
    async def history(wanted: Annotated[lookups.HistoryLookup, Query()]) -> lookups.History:
        """Return what a user chose in train, and what was shown but not chosen."""
        return await asyncio.to_thread(current.loaded.explainer.history, wanted.user)

    @app.get("/recommend", responses=REFUSALS)
    async def recommend_one(
        wanted: Annotated[lookups.RecommendLookup, Query()],
    ) -> lookups.ItemList:
        """Return the list of one user, with titles and regions."""
        loaded = current.loaded
        engine, explainer = loaded.engine, loaded.explainer
        require_k(wanted.k, engine.data.num_items, "items")
        user = explainer.number(engine.users, wanted.user)
        (found,) = await loaded.batcher.submit([Asked(USERS, (user,), wanted.k)])
        return await asyncio.to_thread(explainer.listed, found, wanted.user)

    @app.get("/similar", responses=REFUSALS)
    async def similar_to_one(
        wanted: Annotated[lookups.SimilarLookup, Query()],
    ) -> lookups.ItemList:
        """Return the items most similar to one, with titles and, for a user, regions."""
        loaded = current.loaded
        engine, explainer = loaded.engine, loaded.explainer
        engine.require_embeddings()
        require_k(wanted.k, engine.most(SIMILAR_ITEMS), "other items")
        item = explainer.number(engine.items, wanted.item)
        (found,) = await loaded.batcher.submit([Asked(SIMILAR_ITEMS, (item,), wanted.k)])
        return await asyncio.to_thread(explainer.listed, found, wanted.user)

    @app.get("/negatives", responses=REFUSALS)
    async def negatives(wanted: Annotated[lookups.NegativesLookup, Query()]) -> lookups.Negatives:
        """Return what the run's sampler draws as negatives of a user and a positive."""
        explainer = current.loaded.explainer
        return await explainer.in_turn(explainer.negatives, wanted)


def require_k(k: int, most: int, what: str) -> None:
    """Raise UserError if lists of k entries are longer than what there is to list."""
    if k > most:
        raise UserError(f"k: choose a whole number from 1 to {most}, the number of {what}.")


async def lists_of(loaded: Loaded, queries: Sequence[Asked]) -> Lists:
    """Return the answer with the list of each query."""
    found = await loaded.batcher.submit(queries)
    return Lists(run=loaded.engine.run.name, lists=[entries(each) for each in found])


def entries(found: Sequence[Scored]) -> list[Entry]:
    """Return a list as it is sent."""
    return [Entry(id=each.id, score=each.score) for each in found]


def add_refusals(app: FastAPI) -> None:
    """Make every refusal one sentence, {"error": …}, with its status."""

    def refuse(status: int, sentence: str) -> JSONResponse:
        return JSONResponse({"error": printable(sentence)}, status)

    @app.exception_handler(UnknownId)
    async def unknown(request: Request, error: UnknownId) -> JSONResponse:
        return refuse(404, str(error))

    @app.exception_handler(UserError)
    async def illegal(request: Request, error: UserError) -> JSONResponse:
        return refuse(400, str(error))

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> JSONResponse:
        answer = refuse(503, "too many requests are waiting: try again in a second.")
        answer.headers["Retry-After"] = "1"
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return refuse(422, sentence_of(error.errors()))

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        sentences = {
            404: f"there is no {request.url.path}: choose one of {', '.join(PATHS)}.",
            405: f"{request.url.path} does not answer {request.method}; see /openapi.json.",
        }
        detail = str(error.detail).rstrip(".")
        answer = refuse(error.status_code, sentences.get(error.status_code, f"{detail}."))
        answer.headers.update(error.headers or {})
        return answer


def sentence_of(errors: Sequence[dict[str, Any]]) -> str:
    """Return the first error that pydantic found, as a sentence."""
    first = errors[0]
    place = [str(part) for part in first["loc"][1:]]
    message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    message = message[:1].lower() + message[1:]
    if place and place[-1] in ID_TYPES:
        # An id that is neither has an error for each type.
        place.pop()
        message = f"an id is a whole number, or a text of at most {LONGEST_ID:,} characters"
    if first["type"] == "json_invalid":
        message = f"the body is not JSON: {first.get('ctx', {}).get('error', message)}".rstrip(".")
        place = []
    return f"{'.'.join(place)}: {message}." if place else f"{message}."

"""The bodies of requests and answers, which also make the service's OpenAPI description."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from recns_tf.config.flags import LARGEST_K

MOST_LISTS = 100
"""Lists or embeddings in one request."""

LONGEST_HISTORY = 1_000
"""Items in a history."""

LONGEST_ID = 1_000
"""Characters of an id."""

AnId = StrictInt | Annotated[StrictStr, Field(max_length=LONGEST_ID)]
Ids = Annotated[list[AnId], Field(min_length=1, max_length=MOST_LISTS)]
History = Annotated[list[AnId], Field(min_length=1, max_length=LONGEST_HISTORY)]
Histories = Annotated[list[History], Field(min_length=1, max_length=MOST_LISTS)]
K = Annotated[StrictInt, Field(ge=1, le=LARGEST_K)]


class Body(BaseModel):
    """A request. A misspelled field is an error, rather than ignored."""

    model_config = ConfigDict(extra="forbid")


def one_of(values: dict[str, Any]) -> None:
    """Raise ValueError unless exactly one of some fields is given."""
    if sum(value is not None for value in values.values()) != 1:
        *names, last = values
        raise ValueError(f"one of {', '.join(names)} and {last} is needed")


class RecommendBody(Body):
    """Lists of items for users of the data, or for others, from the items that they chose."""

    users: Ids | None = Field(None, description="ids of users", examples=[[196, 186]])
    histories: Histories | None = Field(
        None, description="for each new user, the ids of the items chosen", examples=[None]
    )
    k: K = Field(10, description="length of the lists")
    include_seen: StrictBool = Field(False, description="whether lists may contain chosen items")

    @model_validator(mode="after")
    def has_one(self) -> RecommendBody:
        """Check that users or histories are given."""
        one_of({"users": self.users, "histories": self.histories})
        return self


class SimilarBody(Body):
    """Similar items or similar users, by the cosine of their embeddings."""

    items: Ids | None = Field(None, description="ids of items", examples=[[50]])
    users: Ids | None = Field(None, description="ids of users", examples=[None])
    k: K = Field(10, description="length of the lists")

    @model_validator(mode="after")
    def has_one(self) -> SimilarBody:
        """Check that items or users are given."""
        one_of({"items": self.items, "users": self.users})
        return self


class EmbedBody(Body):
    """Embeddings of users or items of the data, or of new users."""

    users: Ids | None = Field(None, description="ids of users", examples=[None])
    items: Ids | None = Field(None, description="ids of items", examples=[None])
    histories: Histories | None = Field(
        None,
        description="for each new user, the ids of the items chosen",
        examples=[[[50, 181]]],
    )

    @model_validator(mode="after")
    def has_one(self) -> EmbedBody:
        """Check that exactly one kind is given."""
        one_of({"users": self.users, "items": self.items, "histories": self.histories})
        return self


class Entry(BaseModel):
    """An entry of a list, the best first."""

    id: int | str
    score: float


class Lists(BaseModel):
    """A list for each user, history or item of the request, in its order."""

    run: str = Field(description="the run that answers")
    lists: list[list[Entry]]


class Embeddings(BaseModel):
    """An embedding for each user, item or history of the request, in its order."""

    run: str
    embeddings: list[list[float]]


class Health(BaseModel):
    """What the service answers with."""

    status: str = Field(description="ok, or stale if a newer run could not be loaded")
    run: str
    since: float = Field(description="when the run was loaded, in seconds since 1970")
    dataset: str
    users: int
    items: int
    problem: str = Field(description="why a newer run could not be loaded; empty if there is none")


class Problem(BaseModel):
    """Why a request was refused, in one sentence."""

    error: str

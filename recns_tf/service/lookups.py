"""The requests and answers of lookups: the questions about one user or item that the page asks.

Ids are text here, as in an address. Scripts in a browser would round large integers.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from recns_tf.config.flags import LARGEST_K
from recns_tf.service.messages import LONGEST_ID

MOST_USERS = 100
MOST_DRAWS = 100_000

AnId = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
K = Annotated[int, Field(ge=1, le=LARGEST_K)]


class Lookup(BaseModel):
    """The parameters of an address. A misspelled one is an error, rather than ignored."""

    model_config = ConfigDict(extra="forbid")


class UsersLookup(Lookup):
    """Users whose id contains a text."""

    search: Annotated[str, Field(max_length=LONGEST_ID)] = ""
    start: Annotated[int, Field(ge=0, le=2**31)] = 0
    limit: Annotated[int, Field(ge=1, le=MOST_USERS)] = 20


class HistoryLookup(Lookup):
    """What a user chose and was shown."""

    user: AnId


class RecommendLookup(Lookup):
    """A list for a user."""

    user: AnId
    k: K = 10


class SimilarLookup(Lookup):
    """Similar items, and how they stand to a user."""

    item: AnId
    k: K = 10
    user: AnId | None = None


class NegativesLookup(Lookup):
    """The negatives of a user and one of the user's train items."""

    user: AnId
    item: AnId
    draws: Annotated[int, Field(ge=1, le=MOST_DRAWS)] = 10_000
    top: Annotated[int, Field(ge=1, le=LARGEST_K, description="items listed, at most")] = 20


class Item(BaseModel):
    """An item, and how it stands to the user of the request, if there is one."""

    id: str
    title: str | None = Field(description="null if it has none")
    users: int = Field(description="users who have it in train")
    region: str | None = Field(
        None, description="adjacent, intermediate, distant, or between, of the user"
    )
    marks: list[str] = Field(
        [], description="what it is to the user: train, valid or test positive; exposed"
    )


class ScoredItem(Item):
    """An item of a list, the best first."""

    score: float


class Share(BaseModel):
    """A share of the negatives, with its standard error."""

    share: float
    error: float


class DrawnItem(Item, Share):
    """An item drawn, the most frequent first."""


class RegionShare(Share):
    """The share of the negatives from a region."""

    region: str
    items: int = Field(description="items in the region")


class User(BaseModel):
    """A user."""

    id: str
    items: int = Field(description="items in train")


class Users(BaseModel):
    """Some of the users found: first the one with that id, then those whose id starts with it."""

    run: str
    found: int
    users: list[User]


class History(BaseModel):
    """The positives of a user in train, and the items exposed but not chosen."""

    run: str
    sampler: str | None = Field(description="null for a baseline")
    regions: str = Field(description="khop and definition of the regions")
    user: str
    sizes: dict[str, int] = Field(description="items in each region")
    positives: list[Item]
    exposed: list[Item]


class ItemList(BaseModel):
    """A list of items, the best first."""

    run: str
    items: list[ScoredItem]


class Negatives(BaseModel):
    """What the run's sampler draws for a pair, with the weights that the run kept."""

    run: str
    sampler: str
    summary: str = Field(description="what the sampler is, in a phrase")
    drawn_from: str = Field(description="the region that the run's settings choose")
    note: str = Field(description="how to read the draws of this sampler; may be empty")
    user: str
    positive: Item
    draws: int
    distinct: int = Field(description="different items drawn")
    regions: list[RegionShare]
    held_out: Share = Field(description="valid or test positives of the user: false negatives")
    exposed: Share
    items: list[DrawnItem]
    merged: list[DrawnItem] = Field(description="items merged into the negatives, if any")

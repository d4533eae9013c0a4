"""Answers lookups: how items stand to a user, and what the sampler draws as negatives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recns_tf.config.config import DEFAULTS
from recns_tf.errors import UserError
from recns_tf.interactions import degrees_of_items
from recns_tf.regions.of_user import NAMES, regions_of_user
from recns_tf.registry import BASELINE_MODELS, SAMPLERS
from recns_tf.service import lookups
from recns_tf.service.batching import Busy
from recns_tf.service.engine import Engine, Scored
from recns_tf.service.relation import PARTS, Relation, share_of
from recns_tf.service.titles import Titles
from recns_tf.serving.ids import Ids
from recns_tf.utils.quiet import silenced_stderr
from recns_tf.utils.text import shown

if TYPE_CHECKING:
    from recns_tf.serving.pair_negatives import PairNegatives

Answer = TypeVar("Answer")

WAITING = 20
"""Requests for negatives that may wait; more are refused."""

NOTES = {
    "recns": "Each negative is merged with one of the exposed items below, so it is no item.",
    "inbatch": "Nothing is drawn: all positives of the other pairs of random batches are counted.",
    "mixgcf": "A negative is mixed of the rows of an item per layer, and of the positive. Shares "
    "are of the items of layer 0; those of the other layers are below.",
    "dens": "A negative is made of the rows of an item per layer. Shares are of the items of layer "
    "0; those of the other layers are below.",
    "srns": "Negatives come from the user's memory as it was after training. Nothing is random "
    "until training changes the memory.",
    "mcns": "Each draw continues the user's Markov chain from where training left it.",
    "bns": "If there are more items than --bns_items, each 1,000 draws share a sample of scores.",
}
"""How to read the draws of a sampler."""


class Explainer:
    """Answers lookups about one run.

    Args:
        engine: the run.
        titles: of items.
    """

    def __init__(self, engine: Engine, titles: Titles):
        self.engine = engine
        self.data = engine.data
        self.titles = titles
        self.busy = asyncio.Lock()
        self.waiting = 0

    async def in_turn(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call a function that takes long, in a thread, one at a time.

        Raises:
            Busy: too many calls are waiting.
        """
        if self.waiting >= WAITING:
            raise Busy
        self.waiting += 1
        try:
            async with self.busy:
                return await asyncio.to_thread(function, *arguments)
        finally:
            self.waiting -= 1

    def number(self, ids: Ids, text: str) -> int:
        """Return the number of a user or an item, given its id as text.

        Raises:
            UnknownId: it is not in the data.
        """
        is_integer = ids.labels.dtype.kind in "iu" and text.removeprefix("-").isdecimal()
        same = is_integer and str(int(text)) == text
        return self.engine.number(ids, int(text) if same else text)

    @property
    def sampler(self) -> str | None:
        """The name of the run's sampler; None for a baseline."""
        results = self.engine.model.results
        return None if results["encoder"] in BASELINE_MODELS else str(results["sampler"])

    @cached_property
    def popularity(self) -> NDArray[np.int64]:
        """The number of users who have each item in train."""
        return degrees_of_items(self.data.train)

    @cached_property
    def user_texts(self) -> NDArray[np.str_]:
        """The ids of the users as text in lower case."""
        return np.char.lower(self.engine.users.labels.astype(np.str_))

    @cached_property
    def region_settings(self) -> dict[str, Any]:
        """The kind, khop and definition of the run's region."""
        results = self.engine.model.results
        region = results.get("region") or {}
        return {
            "kind": region.get("kind"),
            "khop": region.get("khop", DEFAULTS["khop"]),
            "definition": region.get("reading", DEFAULTS["region_definition"]),
        }

    def users(self, search: str, start: int, limit: int) -> lookups.Users:
        """Return some users whose id contains a text, in any case."""
        sought = search.lower()
        place = np.char.find(self.user_texts, sought)
        found = np.flatnonzero(place >= 0)
        lengths = np.char.str_len(self.user_texts[found])
        starts = place[found] == 0
        # Of the ids that start with the text, the shortest has no more than it.
        order = np.lexsort((found, np.where(starts & (search != ""), lengths, 0), ~starts))
        if not search:
            order = np.arange(len(found))
        chosen = found[order][start : start + limit]
        counts = np.diff(self.data.train.indptr)[chosen]
        return lookups.Users(
            run=self.engine.run.name,
            found=len(found),
            users=[
                lookups.User(id=str(self.engine.users.labels[each]), items=int(count))
                for each, count in zip(chosen, counts, strict=True)
            ],
        )

    def history(self, user: str) -> lookups.History:
        """Return the positives of a user in train, and the items exposed but not chosen."""
        relation = self.relation(self.number(self.engine.users, user))
        settings = self.region_settings
        return lookups.History(
            run=self.engine.run.name,
            sampler=self.sampler,
            regions=f"khop {settings['khop']}, {settings['definition']} definition",
            user=user,
            sizes=relation.sizes(),
            positives=[lookups.Item(**self.about(each, relation)) for each in relation["train"]],
            exposed=[lookups.Item(**self.about(each, relation)) for each in relation["exposed"]],
        )

    def listed(self, found: Sequence[Scored], user: str | None) -> lookups.ItemList:
        """Return a list of the engine, with what is known of its items."""
        relation = None
        if user is not None:
            relation = self.relation(self.number(self.engine.users, user))
        return lookups.ItemList(
            run=self.engine.run.name,
            items=[
                lookups.ScoredItem(
                    **self.about(self.engine.number(self.engine.items, each.id), relation),
                    score=each.score,
                )
                for each in found
            ],
        )

    def negatives(self, wanted: lookups.NegativesLookup) -> lookups.Negatives:
        """Return what the sampler draws for a pair.

        Raises:
            UserError: the run has no sampler or was not loaded for training, the item is not one of
                the user's train items, or the sampler has no negative for the pair.
        """
        engine = self.engine
        user = self.number(engine.users, wanted.user)
        positive = self.number(engine.items, wanted.item)
        pairs = self.pairs
        relation = self.relation(user)
        if positive not in relation["train"]:
            raise UserError(
                f"item {shown(wanted.item)} is no train positive of user {shown(wanted.user)}: "
                "negatives are drawn for an item of the user's history."
            )
        if len(relation["train"]) == self.data.num_items:
            raise UserError(f"user {shown(wanted.user)} has every item, so there are no negatives.")
        drawn = pairs.draw(user, positive, wanted.draws)
        if not drawn.ids.size:
            raise UserError("the other pairs of random batches had no negative for this pair.")
        sampler = str(self.sampler)
        return lookups.Negatives(
            run=engine.run.name,
            sampler=sampler,
            summary=SAMPLERS[sampler].summary if sampler in SAMPLERS else "your own sampler",
            drawn_from=self.drawn_from(),
            note=NOTES.get(sampler, ""),
            user=wanted.user,
            positive=lookups.Item(**self.about(positive, relation)),
            draws=drawn.ids.size,
            distinct=len(np.unique(drawn.ids)),
            regions=[
                lookups.RegionShare(
                    region=name, items=size, **share_of(relation.in_region(name)[drawn.ids])
                )
                for name, size in relation.sizes().items()
            ],
            held_out=lookups.Share(**share_of(relation.any_of("valid", "test")[drawn.ids])),
            exposed=lookups.Share(**share_of(relation.any_of("exposed")[drawn.ids])),
            items=self.most_drawn(drawn.ids, relation, wanted.top),
            merged=self.most_drawn(drawn.merged, relation, wanted.top),
        )

    @cached_property
    def pairs(self) -> PairNegatives:
        """Draws negatives of a pair; UserError if the run cannot."""
        restored = self.engine.restored
        if self.sampler is None:
            raise UserError(f"{self.engine.run.name} is of a baseline, which has no sampler.")
        if restored is None:
            raise UserError(f"negatives are not shown: {self.engine.unrestored}")
        with silenced_stderr():
            from recns_tf.serving.pair_negatives import PairNegatives
        return PairNegatives(restored, max(self.engine.model.results["best_epoch"] - 1, 0))

    def drawn_from(self) -> str:
        """Return the region that the run's settings choose, in words."""
        settings = self.region_settings
        if settings["kind"] == "all":
            return "all unobserved items"
        return "the {kind} region, khop {khop}, {definition} definition".format(**settings)

    def most_drawn(
        self, ids: NDArray[np.int32], relation: Relation, top: int
    ) -> list[lookups.DrawnItem]:
        """Return the items drawn most often, with their shares."""
        if not ids.size:
            return []
        items, counts = np.unique(ids, return_counts=True)
        most = items[np.lexsort((items, -counts))[:top]]
        return [
            lookups.DrawnItem(**self.about(each, relation), **share_of(ids == each))
            for each in most
        ]

    def relation(self, user: int) -> Relation:
        """Return how all items stand to a user."""
        settings = self.region_settings
        codes = regions_of_user(self.data.train, user, settings["khop"], settings["definition"])
        parts = {part: getattr(self.data, part)[[user]].indices for part in PARTS}
        return Relation(codes, parts)

    def about(self, item: int, relation: Relation | None) -> dict[str, Any]:
        """Return the fields of an item."""
        id_ = str(self.engine.items.labels[item])
        about: dict[str, Any] = {
            "id": id_,
            "title": self.titles.get(id_),
            "users": int(self.popularity[item]),
        }
        if relation is not None:
            about |= {"region": NAMES[relation.codes[item]], "marks": relation.marks(item)}
        return about

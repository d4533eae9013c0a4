"""Answer requests for recommendations over HTTP with a finished run.

RUN is a folder under runs/, or a link to one. A browser shows a page at /. POST /recommend,
/similar and /embed take JSON; GET /health and /metrics say how the service is. /docs describes all.
When the folder or the link comes to hold another finished run, that one takes over, without a lost
request.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import A_FOLDER, Checked, between, option, whole
from recns_tf.config.search import SearchSettings
from recns_tf.datasets.preparation import TableLayout
from recns_tf.errors import UserError

if TYPE_CHECKING:
    from recns_tf.service.titles import Titles

PACKAGES = ("fastapi", "uvicorn", "prometheus_client")
GRACE_SECONDS = 10
"""How long requests may take that have begun when the service is stopped."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Serve(Checked):
    """The flags of this command."""

    host: str = option("127.0.0.1", "address to listen at; 0.0.0.0 for all networks")
    port: int = option(8000, "port to listen at; 0 for any free one", whole(0, 65_535))
    histories: bool = option(
        True, "answer for people who are not in the data; takes some seconds and memory to start"
    )
    reload_seconds: float = option(
        2.0, "seconds between looks at whether RUN holds another run", between(0.1, 86_400)
    )
    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    items: str = option("", "table with a title for each item, for the page; any format of prepare")
    item_column: str = option("item", "column of --items with the ids of items")
    title_column: str = option("title", "column of --items with their titles")


def main(call: Call) -> None:
    """Run the command."""
    settings, table = call.settings(Serve), call.settings(TableLayout)
    if any(importlib.util.find_spec(name) is None for name in PACKAGES):
        raise UserError("serve needs further packages: pip install 'recns-tf[serve]'.")
    import uvicorn

    from recns_tf.service.app import create_app
    from recns_tf.service.current import Current
    from recns_tf.service.measures import Measures
    from recns_tf.service.titles import require_known

    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("recns_tf").setLevel(logging.INFO)
    # Before the run is loaded, which takes longer.
    listener = listen(settings.host, settings.port)
    with listener:
        measures = Measures()
        titles = titles_of(settings, table)
        current = Current(
            Path(call.words[0]),
            settings.data_dir,
            settings.histories,
            measures.batch.observe,
            titles,
            call.settings(SearchSettings),
        )
        if titles is not None:
            labels = current.loaded.engine.items.labels
            require_known(titles, Path(settings.items), settings.item_column, labels)
        app = create_app(current, measures, settings.reload_seconds)
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS, lifespan="on"
        )
        host, port = listener.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        print(f"serving {current.loaded.engine.run} at http://{address}", flush=True)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def titles_of(settings: Serve, table: TableLayout) -> Titles | None:
    """Return the titles in the table that the flags name; None if they name none.

    Raises:
        UserError: it cannot be read, or flags of a table are set without one.
    """
    from recns_tf.service.titles import read_titles

    if not settings.items:
        if table != TableLayout():
            raise UserError("the layout of a table is set, but no table: set --items, too.")
        return None
    path = Path(settings.items)
    return read_titles(path, settings.item_column, settings.title_column, table.layout)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises:
        UserError: the address is in use, or not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=1_024)
        # asyncio sets it for sockets of its own alone; without it, each answer waits for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"--host={host} --port={port}: {reason[:1].lower()}{reason[1:]}; choose an address of "
            "this machine, and a free port."
        ) from error


COMMAND = Command(
    about=__doc__ or "",
    words="RUN",
    example="runs/ml-100k-lightgcn-recns --port=8080",
    settings=(Serve, TableLayout, SearchSettings),
    run=main,
    interrupted="no longer serving",
)

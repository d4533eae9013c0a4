"""Turns the content of a page into HTML with the templates of this package."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from recns_tf.reporting.charts import draw, get_color, get_dashes
from recns_tf.reporting.content import Page

ENVIRONMENT = Environment(
    loader=PackageLoader("recns_tf.reporting"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters |= {"color": get_color, "dashes": get_dashes, "draw": draw}


def render(page: Page) -> str:
    """Return a page as one HTML file that loads nothing from elsewhere."""
    return ENVIRONMENT.get_template("page.html.j2").render(page=page)

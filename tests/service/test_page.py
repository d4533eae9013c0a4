"""The page: its files, their headers, and what a browser shows of a service."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import threading
from html import unescape
from html.parser import HTMLParser
from importlib import resources

import pytest
import uvicorn
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

from recns_tf.service import static
from recns_tf.service.app import create_app
from recns_tf.service.current import Current
from recns_tf.service.measures import Measures
from tests.serving.worlds import made_up_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
CONTENT = {
    path: (resources.files("recns_tf.service") / "page" / name).read_text("utf-8")
    for path, (name, _) in static.FILES.items()
}
HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)>"


def test_files_load_nothing_from_elsewhere_and_never_insert_markup():
    for path, text in CONTENT.items():
        addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+\S*", text)
        assert [each for each in addresses if "www.w3.org/2000/svg" not in each] == [], path
        markup = r"url\(|@import|innerHTML|outerHTML|insertAdjacent|eval\(|write\("
        assert not re.search(markup, text)
        inline = r"<script(?! type=\"module\" src=\"page.js\")|<style|\son\w+=|\sstyle="
        assert not re.search(inline, text)


def test_the_page_is_served_with_a_strict_policy(toy, tmp_path):
    current = Current(made_up_run(tmp_path / "run", toy), histories=False)
    with TestClient(create_app(current, Measures())) as client:
        for path, (_, kind) in static.FILES.items():
            answer = client.get(path)
            assert answer.text == CONTENT[path] and answer.headers["content-type"] == kind
            policy = answer.headers["content-security-policy"].split("; ")
            assert policy[0] == "default-src 'self'" and "frame-ancestors 'none'" in policy
            assert "unsafe" not in str(policy)
            assert answer.headers["x-content-type-options"] == "nosniff"


class Labels(HTMLParser):
    """Collects the fields of a form, what labels name, and buttons without a type."""

    def __init__(self, text):
        super().__init__()
        self.fields, self.named, self.ids, self.untyped = set(), set(), [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in ("input", "select"):
            self.fields.add(values["id"])
        if tag == "label":
            self.named.add(values["for"])
        self.untyped += tag == "button" and "type" not in values
        self.ids += [values["id"]] if "id" in values else []


def test_fields_have_labels_and_scripts_find_their_elements():
    found = Labels(CONTENT["/"])
    assert found.fields == found.named and not found.untyped
    assert len(found.ids) == len({*found.ids})
    assert {*re.findall(r'\$\("([\w-]+)"\)', CONTENT["/page.js"])} <= {*found.ids}
    assert 'aria-live="polite"' in CONTENT["/"] and '<html lang="en">' in CONTENT["/"]


def luminance(color):
    parts = [int(each * (2 if len(color) == 4 else 1), 16) / 255
             for each in re.findall("." if len(color) == 4 else "..", color[1:])]  # fmt: skip
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_aa(scheme):
    assert contrast("#000", "#fff") == pytest.approx(21)
    block = re.findall(r":root \{(.*?)\}", CONTENT["/page.css"], re.S)[scheme]
    colors = dict(re.findall(r"--([\w-]+): (#\w+);", block))
    assert len(colors) == 16
    inks = ("ink", "soft", "link", "wrong", "adjacent", "intermediate", "distant", "between")
    for ink in inks:
        for back in ("back", "card", "chosen"):
            assert contrast(colors[ink], colors[back]) >= 4.5, (ink, back)
    assert contrast(colors["on-main"], colors["main"]) >= 4.5
    assert contrast(colors["edge"], colors["card"]) >= 3


PROBE = """<!doctype html><iframe id="f" src="/?user=u5&item=ITEM"
style="width:WIDTHpx;height:900px"></iframe><p id="found"></p><script>
const timer = setInterval(() => {
  const page = f.contentDocument;
  const cards = [...page.querySelectorAll(".card")];
  const done = cards.every((each) => each.getAttribute("aria-busy") === "false");
  if (cards.length < 4 || !done) return;
  clearInterval(timer);
  const root = page.documentElement;
  found.textContent = JSON.stringify({
    fits: root.scrollWidth <= root.clientWidth, title: page.title,
    captions: [...page.querySelectorAll("caption")].map((each) => each.textContent),
    rows: [...page.querySelectorAll("#recommended tbody th")].map((each) => each.textContent),
    current: page.querySelector("#history [aria-current]").textContent,
    negatives: page.querySelector("#negatives").textContent,
    markup: page.querySelectorAll("main script, main img").length,
    bars: [...page.querySelectorAll("#negatives .bar")].map((each) => each.offsetWidth),
    regions: page.querySelector("#regions").textContent,
    run: page.querySelector("#run").textContent,
  });
}, 50);
</script>"""


def listening(app):
    """Return a running server of an application, and its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    return server, thread, f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_the_negatives_of_a_pair(served_run, toy, tmp_path, monkeypatch, width):
    item = str(toy.item_ids[toy.train[[5]].indices[0]])
    titles = {str(each): f"{HOSTILE} {each}" for each in toy.item_ids}
    app = create_app(Current(served_run, titles=titles), Measures())
    # An iframe has the width of the screen: windows of Chromium cannot be that narrow.
    policy = static.HEADERS["Content-Security-Policy"].replace(
        "frame-ancestors 'none'", "frame-ancestors 'self'"
    )
    monkeypatch.setitem(static.HEADERS, "Content-Security-Policy", policy)
    probe = PROBE.replace("ITEM", item).replace("WIDTH", str(width))
    app.add_api_route("/probe", lambda: HTMLResponse(probe))
    server, thread, address = listening(app)
    try:
        done = subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--no-first-run", "--disable-background-networking", "--disable-sync",
                "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}",
                "--dump-dom", "--virtual-time-budget=20000", f"{address}/probe",
            ],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        lists = TestClient(app).get("/recommend", params={"user": "u5"}).json()["items"]
    finally:
        server.should_exit = True
        thread.join(20)
    found = re.search(r'<p id="found">(\{.*?\})</p>', done.stdout, re.S)
    assert found, done.stdout + done.stderr
    page = json.loads(unescape(found[1]))
    assert page["fits"] and max(page["bars"]) > 10 and min(page["bars"]) == 0
    assert page["title"] == "User u5 – recommendations" and page["run"] == "Run toy"
    assert page["markup"] == 0, "titles are text"
    for row, each in zip(page["rows"], lists, strict=True):
        assert row.startswith(each["title"])
    assert HOSTILE in page["rows"][0] and page["current"] == f"{HOSTILE} {item}"
    assert page["captions"][:1] == [f"History: {toy.train[[5]].nnz} positives in train"]
    assert {"Recommended", "Similar items", "Drawn most often"} <= {*page["captions"]}
    assert "10,002 draws" in page["negatives"] and "False negatives" in page["negatives"]
    assert "intermediate" in page["regions"]

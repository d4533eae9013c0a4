"""How the page looks, and what happens where a legend is touched; nothing comes from elsewhere."""

CSS = """
:root { color-scheme: light; --ink: #1c2127; --soft: #59636e; --rule: #d8dee4; --tint: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 82rem; padding: 1rem; background: #fff; color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; padding-top: .6rem;
  border-top: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0; max-width: 46rem; }
nav { padding: .5rem 0; border-bottom: 1px solid var(--rule); }
nav a { margin-right: 1rem; white-space: nowrap; }
a { color: #0b63a5; }
.soft, figcaption small { color: var(--soft); }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem;
  margin: .4rem 0; }
th, td { padding: .25rem .5rem; border-bottom: 1px solid var(--rule); text-align: left;
  vertical-align: top; white-space: nowrap; }
th { background: var(--tint); }
thead th { white-space: normal; vertical-align: bottom; }
tbody th { background: #fff; font-weight: 600; white-space: normal; min-width: 11rem;
  max-width: 18rem; position: sticky; left: 0; }
td.n, th.n { text-align: right; }
td.default { color: var(--soft); font-style: italic; }
.wrap { white-space: normal; min-width: 14rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr));
  gap: 1rem; margin: .6rem 0; }
figure { margin: 0; }
figcaption { font-weight: 600; font-size: .95rem; }
figure svg { width: 100%; height: auto; display: block; }
svg .grid { stroke: #e3e8ed; stroke-width: 1; fill: none; }
svg .tick, svg .axis { font-size: 11px; fill: #59636e; }
svg .line > path { stroke-width: 1.6; stroke-linejoin: round; }
svg .line > circle { stroke: #fff; stroke-width: 1; }
.dimmed { opacity: .1; }
.swatch { margin-right: .4rem; vertical-align: middle; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem; margin: .4rem 0; }
.legend button { font: inherit; font-size: .85rem; color: var(--ink); background: #fff;
  border: 1px solid var(--rule); border-radius: .3rem; padding: .2rem .5rem; cursor: pointer;
  text-align: left; }
.legend button[aria-pressed=true] { background: #e6eef6; border-color: #0b63a5; }
.notes { background: #fff8e6; border: 1px solid #e2c46c; padding: .3rem 1rem; margin: .8rem 0;
  overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .2rem 0; }
pre { background: var(--tint); padding: .6rem; overflow-x: auto; font-size: .8rem; }
@media (max-width: 40rem) { body { padding: .6rem; } th, td { padding: .2rem .4rem; }
  tbody th { min-width: 8rem; max-width: 9.5rem; font-weight: 500; } }
@media print { .legend button { border: 0; } details { break-inside: avoid; } }
"""

SCRIPT = """
for (const legend of document.querySelectorAll(".legend")) {
  const buttons = [...legend.querySelectorAll("button")];
  const lines = legend.parentElement.querySelectorAll(".line");
  const show = () => {
    const on = buttons.filter(b => b.getAttribute("aria-pressed") === "true")
      .map(b => b.dataset.line);
    for (const line of lines)
      line.classList.toggle("dimmed", on.length > 0 && !on.includes(line.dataset.line));
  };
  for (const button of buttons) button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
    show();
  });
}
"""

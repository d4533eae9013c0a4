// The page of the service. Ids and titles come from data, so they are only ever set as text.

const $ = (id) => document.getElementById(id);

/** Return a new element; a child is a node or a text. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Return the answer of the service; throw its sentence if it refuses. */
async function ask(path, parameters, signal) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== "");
  let response;
  try {
    response = await fetch(`${path}?${new URLSearchParams(given)}`, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("The service does not answer.");
  }
  const answer = await response.json().catch(() => ({ error: "The answer is not JSON." }));
  if (!response.ok) throw new Error(answer.error);
  if (answer.run) showRun(answer.run);
  return answer;
}

let run = "";

function showRun(name) {
  if (run && run !== name) say(`Another run has taken over: ${name}.`);
  run = name;
  $("run").textContent = `Run ${name}`;
}

function say(sentence, wrong = false) {
  $("status").textContent = sentence;
  $("status").classList.toggle("wrong", wrong);
}

const state = () => {
  const given = new URLSearchParams(location.search);
  return { user: given.get("user"), item: given.get("item"), k: given.get("k") ?? "10" };
};

/** Change the address, and show what it stands for; the back button returns. */
function go(changes) {
  const given = Object.entries({ ...state(), ...changes });
  const kept = given.filter(([name, value]) => value && !(name === "k" && value === "10"));
  const address = `?${new URLSearchParams(kept)}`;
  if (address !== location.search) history.pushState(null, "", address);
  show(Object.keys(changes).includes("item") && changes.item ? "about-item" : null);
}

const count = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;
const percent = (value, digits) => (100 * value).toFixed(digits);

/** Return a share with its standard error, in percent. */
function share({ share: value, error }) {
  const digits = value >= 0.1 ? 1 : 2;
  return `${percent(value, digits)}\u00a0% ±\u00a0${percent(error, digits)}`;
}

function region(name) {
  return make("span", { className: `region ${name}` }, name);
}

const MARKS = { valid: "held-out positive", test: "held-out positive", exposed: "exposed" };

/** Return the first cell of an item's row: a button that chooses it, and what it is to the user. */
function itemCell(item) {
  const button = make("button", { type: "button", className: "item" }, item.title ?? item.id);
  button.addEventListener("click", () => go({ item: item.id }));
  button.dataset.item = item.id;
  const cell = make("th", { scope: "row" }, button);
  if (item.title !== null) cell.append(" ", make("span", { className: "soft" }, item.id));
  for (const mark of item.marks.filter((each) => each in MARKS)) {
    const wrong = mark === "exposed" ? "" : " false";
    cell.append(make("span", { className: `mark${wrong}` }, MARKS[mark]));
  }
  return cell;
}

/** Return a cell with a number, and a bar of a part of the cell's width. */
function numberCell(text, part = null) {
  const cell = make("td", { className: "n" }, text);
  if (part !== null) {
    const bar = make("span", { className: "bar" });
    bar.style.width = `${100 * part}%`;
    bar.setAttribute("aria-hidden", "true");
    cell.append(bar);
  }
  return cell;
}

const regionCell = (item) => make("td", {}, ...(item.region ? [region(item.region)] : []));

/** Return a table; the names of columns with numbers start with a "#". */
function table(caption, columns, rows) {
  const heads = columns.map((name) => make(
    "th",
    { scope: "col", className: name.startsWith("#") ? "n" : "" },
    name.replace("#", ""),
  ));
  return make(
    "table", {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...heads)),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells))),
  );
}

function historyOf(answer) {
  const { positives, exposed } = answer;
  const row = (item) => [itemCell(item), numberCell(item.users.toLocaleString("en"))];
  const parts = [make("div", { className: "scroll" }, table(
    `History: ${count(positives.length, "positive")} in train`, ["item", "#users"],
    positives.map(row),
  ))];
  if (exposed.length) {
    const rows = exposed.map((item) => [itemCell(item), regionCell(item)]);
    parts.push(make(
      "details", {},
      make("summary", {}, `Exposed, not chosen: ${count(exposed.length, "item")}`),
      make("div", { className: "scroll" },
        table("Items shown to the user", ["item", "region"], rows)),
    ));
  }
  return parts;
}

function listOf(caption, items, number) {
  const rows = items.map(
    (item) => [itemCell(item), regionCell(item), numberCell(item.score.toFixed(3))],
  );
  return [table(caption, ["item", "region", `#${number}`], rows)];
}

function negativesOf(answer) {
  const unobserved = answer.regions.filter((each) => each.region !== "adjacent")
    .reduce((sum, each) => sum + each.items, 0);
  const regions = answer.regions.map((each) => [
    make("th", { scope: "row" }, region(each.region)),
    numberCell(share(each), each.share),
    numberCell(each.region === "adjacent" ? "–" : `${percent(each.items / unobserved, 1)} %`),
  ]);
  const drawn = (caption, items) => table(caption, ["item", "region", "#share of draws"],
    items.map((item) => [
      itemCell(item), regionCell(item), numberCell(share(item), item.share / items[0].share),
    ]));
  const parts = [
    make("h3", {}, "What the sampler draws as negatives"),
    make("p", { className: "soft" },
      `${answer.sampler}: ${answer.summary}. From ${answer.drawn_from}. `
      + `${count(answer.draws, "draw")}, ${count(answer.distinct, "different item")}; `
      + "± is the standard error."),
    table("Regions of the negatives", ["region", "#share of draws", "#of unobserved items"],
      regions),
    make("p", {}, `False negatives (held-out positives): ${share(answer.held_out)}. `
      + `Exposed: ${share(answer.exposed)}.`),
    drawn("Drawn most often", answer.items),
  ];
  if (answer.note) parts.splice(2, 0, make("p", {}, answer.note));
  if (answer.merged.length) parts.push(drawn("Merged into the negatives", answer.merged));
  return parts;
}

const running = {};

/** Fill a card with what a question's answer makes, unless another question follows. */
async function fill(card, question, content) {
  running[card]?.abort();
  const own = (running[card] = new AbortController());
  $(card).setAttribute("aria-busy", "true");
  try {
    const answer = await ask(...question, own.signal);
    if (own.signal.aborted) return null;
    $(card).replaceChildren(...content(answer));
    markCurrent();
    return answer;
  } catch (error) {
    if (own.signal.aborted) return null;
    $(card).replaceChildren(make("p", {}, error.message));
    return null;
  } finally {
    if (!own.signal.aborted) $(card).setAttribute("aria-busy", "false");
  }
}

function markCurrent() {
  const { item } = state();
  for (const button of document.querySelectorAll("button.item")) {
    if (button.dataset.item === item) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

/** Show what the address stands for, and move the focus to an element, if one is named. */
async function show(focus = null) {
  const { user, item, k } = state();
  document.querySelector("main").hidden = !user;
  $("item-section").hidden = !item;
  $("user").value = user ?? "";
  $("k").value = [...$("k").options].some((each) => each.value === k) ? k : "10";
  document.title = user ? `User ${user} – recommendations` : "Recommendations";
  markCurrent();
  if (!user) return;
  say("Loading …");
  $("about-user").textContent = `User ${user}`;
  $("regions").replaceChildren();
  const parts = [
    fill("history", ["history", { user }], historyOf).then((answer) => {
      if (answer) showSizes(answer);
      return answer;
    }),
    fill("recommended", ["recommend", { user, k }],
      ({ items }) => listOf("Recommended", items, "score")),
  ];
  if (item) {
    $("about-item").textContent = `Item ${item}`;
    parts.push(
      fill("negatives", ["negatives", { user, item }], negativesOf).then((answer) => {
        if (answer?.positive.title) $("about-item").textContent = answer.positive.title;
        return answer;
      }),
      fill("similar", ["similar", { item, k, user }],
        ({ items }) => listOf("Similar items", items, "cosine")),
    );
    if (focus) {
      $(focus).scrollIntoView();
      $(focus).focus({ preventScroll: true });
    }
  }
  const before = run;
  await Promise.all(parts);
  if (run === before || !before) say(item ? "" : "Choose an item to see what is drawn for it.");
}

/** Say how large the regions of the user are. */
function showSizes({ regions, sizes }) {
  const words = Object.entries(sizes).flatMap(
    ([name, size]) => [region(name), ` ${size.toLocaleString("en")}`, "\u2003"],
  );
  $("regions").replaceChildren(`Items by region, ${regions}: `, ...words);
}

let typing;

/** Offer users whose ids contain what was typed. */
async function offer() {
  try {
    const { users } = await ask("users", { search: $("user").value, limit: 20 });
    const options = users.map(
      ({ id, items }) => make("option", { value: id }, count(items, "positive")),
    );
    $("users").replaceChildren(...options);
  } catch (error) {
    say(error.message, true);
  }
}

/** Choose the user that was typed, or the only one or the first that it may stand for. */
async function chooseTyped() {
  try {
    const { users } = await ask("users", { search: $("user").value, limit: 1 });
    if (users.length) go({ user: users[0].id, item: null });
    else say(`No user has an id with “${$("user").value}”.`, true);
  } catch (error) {
    say(error.message, true);
  }
}

async function chooseAny() {
  try {
    const { found } = await ask("users", { limit: 1 });
    const start = Math.floor(Math.random() * found);
    const { users } = await ask("users", { start, limit: 1 });
    go({ user: users[0].id, item: null });
  } catch (error) {
    say(error.message, true);
  }
}

$("user").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(offer, 150);
});
$("choose").addEventListener("submit", (event) => {
  event.preventDefault();
  chooseTyped();
});
$("another").addEventListener("click", chooseAny);
$("k").addEventListener("change", () => go({ k: $("k").value }));
addEventListener("popstate", () => show());
offer();
show();

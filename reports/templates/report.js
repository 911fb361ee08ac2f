"use strict";
const byId = (id) => document.getElementById(id);
const list = byId("list");
const cases = [...list.children];
const perBlock = Number(document.body.dataset.perBlock);
const hidden = new Set();
const find = byId("find");
const shown = byId("shown");
const blocks = new Map();
let texts = null;
let timer = 0;

function unpacked(name) {
  if (!blocks.has(name)) blocks.set(name, unpack(byId(name)));
  return blocks.get(name);
}

async function unpack(element) {
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

/* The evidence of a passed case, and the rows of a section without deviation, are put in when they are opened. */
async function fill(item) {
  if (item.dataset.filled) return;
  item.dataset.filled = "yes";
  const at = Number(item.dataset.at ?? item.dataset.section);
  const part = document.createElement("div");
  try {
    const found = item.dataset.at === undefined
      ? (await unpacked("sections-block"))[at]
      : (await unpacked("block-" + Math.floor(at / perBlock)))[at % perBlock];
    part.innerHTML = found;
  } catch (error) {
    part.textContent = "This browser cannot unpack what belongs here; transcript.har holds it.";
  }
  item.append(part);
}

const isLazy = (item) => item.dataset.at !== undefined || item.dataset.section !== undefined;

async function index() {
  if (texts === null) {
    try {
      texts = await unpacked("index-block");
    } catch (error) {
      texts = cases.map((item) => item.querySelector("summary").textContent.toLowerCase());
    }
  }
  return texts;
}

async function apply() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  const searched = words.length ? await index() : null;
  let count = 0;
  cases.forEach((item, place) => {
    const off = hidden.has(item.dataset.verdict) || !words.every((word) => searched[place].includes(word));
    if (item.hidden !== off) item.hidden = off;
    count += off ? 0 : 1;
  });
  shown.textContent = count === cases.length ? "" : count + " of " + cases.length + " cases shown";
}

function showOnly(verdicts) {
  hidden.clear();
  for (const button of document.querySelectorAll("#filter [data-verdict]")) {
    const off = verdicts !== null && !verdicts.includes(button.dataset.verdict);
    if (off) hidden.add(button.dataset.verdict);
    button.setAttribute("aria-pressed", String(!off));
  }
  byId("only")?.setAttribute("aria-pressed", String(verdicts !== null));
  apply();
}

function show(target) {
  for (let at = target; at; at = at.parentElement) {
    at.hidden = false;
    if (at.tagName === "DETAILS") at.open = true;
  }
  target.scrollIntoView();
}

async function reveal() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (!id) return;
  if (!byId(id)) {
    const place = (await index()).findIndex((text) => text.includes(" " + id.toLowerCase() + " "));
    if (place < 0) return;
    await fill(cases[place]);
    if (!byId(id)) return show(cases[place]);
  }
  const target = byId(id);
  if (isLazy(target)) await fill(target);
  show(target);
}

function step(by) {
  const wanted = cases.filter((item) => !item.hidden && item.dataset.verdict !== "passed");
  if (!wanted.length) return;
  const at = wanted.findIndex((item) => item === document.activeElement.closest?.(".case"));
  const next = wanted[at < 0 ? (by > 0 ? 0 : wanted.length - 1) : (at + by + wanted.length) % wanted.length];
  next.open = true;
  next.querySelector("summary").focus({ preventScroll: true });
  next.scrollIntoView();
}

for (const button of document.querySelectorAll("#filter [data-verdict]")) {
  button.addEventListener("click", () => {
    const off = hidden.delete(button.dataset.verdict) ? false : !!hidden.add(button.dataset.verdict);
    button.setAttribute("aria-pressed", String(!off));
    apply();
  });
}
byId("only")?.addEventListener("click", (event) => {
  showOnly(event.currentTarget.getAttribute("aria-pressed") === "true" ? null : ["failed"]);
});
find.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(apply, 60);
});
find.addEventListener("focus", () => void index(), { once: true });
addEventListener("hashchange", () => void reveal());
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && (find.value || hidden.size)) {
    find.value = "";
    showOnly(null);
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea")) return;
  if (event.key === "/") {
    event.preventDefault();
    find.focus();
  } else if (event.key === "n" || event.key === "p") step(event.key === "n" ? 1 : -1);
});
addEventListener("beforeprint", () => {
  for (const item of document.querySelectorAll(".case[data-verdict=failed], .bad th > details")) {
    if (!item.open) item.dataset.printed = "yes";
    item.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const item of document.querySelectorAll("[data-printed]")) {
    item.open = false;
    delete item.dataset.printed;
  }
});
byId("filter").hidden = cases.length < 2;

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (button) navigator.clipboard.writeText(button.previousElementSibling.textContent).then(() => { button.textContent = "Copied"; });
});
document.addEventListener("toggle", (event) => {
  const item = event.target;
  if (!item.open) return;
  if (isLazy(item)) void fill(item);
  if (!navigator.clipboard) return;
  for (const line of item.querySelectorAll("pre.curl")) {
    if (line.nextElementSibling?.matches("button.copy")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    line.after(button);
  }
}, true);
void reveal();

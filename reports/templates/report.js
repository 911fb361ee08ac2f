"use strict";
const list = document.getElementById("list");
const cases = [...list.children];
const hidden = new Set();
const find = document.getElementById("find");
const shown = document.getElementById("shown");

function apply() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const item of cases) {
    const text = words.length ? (item.querySelector("summary").textContent + " " + item.dataset.find).toLowerCase() : "";
    item.hidden = hidden.has(item.dataset.verdict) || !words.every((word) => text.includes(word));
    count += item.hidden ? 0 : 1;
  }
  shown.textContent = count === cases.length ? "" : count + " of " + cases.length + " cases shown";
}

function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target; at; at = at.parentElement) {
    at.hidden = false;
    if (at.tagName === "DETAILS") at.open = true;
  }
  if (target) target.scrollIntoView();
}

for (const button of document.querySelectorAll("#filter button")) {
  button.addEventListener("click", () => {
    const off = hidden.delete(button.dataset.verdict) ? false : !!hidden.add(button.dataset.verdict);
    button.setAttribute("aria-pressed", String(!off));
    apply();
  });
}
find.addEventListener("input", apply);
addEventListener("hashchange", reveal);
addEventListener("beforeprint", () => {
  for (const item of cases) if (item.dataset.verdict === "failed") item.open = true;
});
document.getElementById("filter").hidden = cases.length < 2;

list.parentElement.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (button) navigator.clipboard.writeText(button.previousElementSibling.textContent).then(() => { button.textContent = "Copied"; });
});
list.addEventListener("toggle", (event) => {
  if (!event.target.open || !navigator.clipboard) return;
  for (const line of event.target.querySelectorAll("pre.curl")) {
    if (line.nextElementSibling?.matches("button.copy")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    line.after(button);
  }
}, true);
reveal();

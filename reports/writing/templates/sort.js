"use strict";
// A click on a head sorts its table by that column, a second one the other way; what is no number sorts as text.
const valueOf = (row, place) => {
  const text = row.cells[place].textContent.trim(), number = parseFloat(text.replace(/,/g, "").replace("\u2212", "-"));
  return Number.isNaN(number) ? text : number;
};

function compare(one, other) {
  if (typeof one === typeof other) return typeof one === "number" ? one - other : one.localeCompare(other);
  return typeof one === "number" ? -1 : 1;
}

function sortBy(head, place) {
  const body = head.closest("table").tBodies[0], up = head.getAttribute("aria-sort") !== "ascending";
  const rows = [...body.rows].sort((one, other) => (up ? 1 : -1) * compare(valueOf(one, place), valueOf(other, place)));
  for (const one of head.parentNode.cells) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...rows);
}

for (const table of document.querySelectorAll("table"))
  for (const [place, head] of [...table.tHead.rows[0].cells].entries()) {
    head.tabIndex = 0;
    head.title = "sort by this column";
    head.addEventListener("click", () => sortBy(head, place));
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sortBy(head, place); });
  }

// The table of all records: a field keeps the rows which hold every word typed into it, and a link
// that names registered runs (records.html?run=images%3A+id) shows the records of these alone.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("table.records-table");
  if (!table) return;
  const heads = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent.trim());
  const column = heads.indexOf("registered as");
  const rows = Array.from(table.tBodies).flatMap((body) => Array.from(body.rows));
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const runs = rows.map((row) => row.cells[column].textContent.trim().split("; "));

  const asked = new URLSearchParams(window.location.search);
  let wanted = asked.getAll("run");
  const label = document.createElement("label");
  label.className = "records-filter";
  label.textContent = "Show the records with ";
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "images id medium 11";
  field.value = asked.get("show") || "";
  const count = document.createElement("output");
  label.append(field);
  table.before(label, count);

  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      const named = !wanted.length || runs[place].some((run) => wanted.includes(run));
      row.hidden = !named || !words.every((word) => texts[place].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    count.textContent = ` ${shown} of ${rows.length}`;
  };
  if (wanted.length) {
    const told = document.createElement("p");
    told.className = "records-of";
    told.textContent = `Records of ${wanted.join(", ")}. `;
    const every = document.createElement("button");
    every.type = "button";
    every.className = "code-switch";
    every.textContent = "Show all";
    every.addEventListener("click", () => {
      wanted = [];
      told.remove();
      show();
    });
    told.append(every);
    label.before(told);
  }
  field.addEventListener("input", show);
  show();
});

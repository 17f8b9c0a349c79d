// A field above the table of all records that keeps the rows which hold every word typed into it.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("table.records-table");
  if (!table) return;
  const rows = Array.from(table.tBodies).flatMap((body) => Array.from(body.rows));
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const label = document.createElement("label");
  label.className = "records-filter";
  label.textContent = "Show the records with ";
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "images id medium 11";
  const count = document.createElement("output");
  label.append(field);
  table.before(label, count);
  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !words.every((word) => texts[place].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    count.textContent = ` ${shown} of ${rows.length}`;
  };
  field.addEventListener("input", show);
  show();
});

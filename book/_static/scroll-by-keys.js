// What goes on beyond its box can be scrolled with the keys, too.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const reachable = (box) => {
    const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    if (scrolls && box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  // Fires for each box at first, too, and when one that was hidden is shown.
  const watcher = new ResizeObserver((changes) => changes.forEach((one) => reachable(one.target)));
  document.querySelectorAll(
    ".bd-article table, .bd-article .cell_output .text_html, .bd-article .cell_output > .output, " +
    ".bd-article .pst-scrollable-table-container",
  ).forEach((box) => watcher.observe(box));
});

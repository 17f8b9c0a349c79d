// One switch for all code of a page; the choice is kept for the other pages.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector(".code-switch");
  if (!button) return;
  const key = "code-shown";
  const remembered = () => {
    try { return localStorage.getItem(key) === "yes"; } catch { return false; }
  };
  const remember = (shown) => {
    try { localStorage.setItem(key, shown ? "yes" : "no"); } catch { /* a private window */ }
  };
  const show = (shown) => {
    document.documentElement.classList.toggle("code-shown", shown);
    document.querySelectorAll(".cell details.above-input").forEach((d) => { d.open = shown; });
    button.textContent = shown ? "Hide code" : "Show code";
    button.setAttribute("aria-pressed", String(shown));
  };
  button.addEventListener("click", () => {
    const shown = !document.documentElement.classList.contains("code-shown");
    remember(shown);
    show(shown);
  });
  button.hidden = false;
  show(remembered());
});

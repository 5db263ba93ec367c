// Runs before the page is drawn, so that it is never drawn in the other theme first.
"use strict";
try {
  const wanted = localStorage.getItem("hearth-theme");
  if (wanted === "light" || wanted === "dark") document.documentElement.dataset.theme = wanted;
} catch { /* No storage: the system's theme it is. */ }

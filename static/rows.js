/* The keyboard on lists: j and k go from row to row ([data-row], to the first link in it), x ticks, Enter opens as on any
   link. And boxes: all of a page, and how many are ticked. Everything hangs on data-* attributes. */
(() => {
  "use strict";

  const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
  const current = () => document.activeElement?.closest("[data-row]") ?? document.querySelector("[data-row].row-current");

  const go = (step) => {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(current());
    const row = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))];
    row.querySelector("a[href]")?.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };

  const mark = () => {
    const row = document.activeElement?.closest("[data-row]");
    if (!row) return;
    for (const old of document.querySelectorAll("[data-row].row-current")) if (old !== row) old.classList.remove("row-current");
    row.classList.add("row-current");
  };

  /* Whoever types, or whose menu is open, means letters. */
  const isTyping = (element) => element.matches?.("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]") || element.closest?.("dialog, [role=menu]");

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return;
    if (document.documentElement.dataset.shortcuts === "off") return;
    if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "x") {
      const box = current()?.querySelector("[data-tick]");
      if (!box) return;
      box.click();
    } else return;
    event.preventDefault();
  });
  document.addEventListener("focusin", mark);

  // --- Boxes ---

  const boxes = () => [...document.querySelectorAll("[data-tick]")];
  const every = document.querySelector("[data-every]");
  const page = document.querySelector("[data-tick-all]");
  const told = document.querySelector("[data-ticked]");

  const tell = () => {
    const all = boxes();
    const ticked = all.filter((box) => box.checked).length;
    if (page) {
      page.checked = ticked > 0 && ticked === all.length;
      page.indeterminate = ticked > 0 && ticked < all.length;
    }
    if (told) told.textContent = every?.checked || !ticked ? "" : ticked === 1 ? told.dataset.one : told.dataset.many.replace("#", ticked);
    for (const box of all) box.disabled = Boolean(every?.checked);
    if (page) page.disabled = Boolean(every?.checked);
  };

  document.addEventListener("change", (event) => {
    if (event.target === page) for (const box of boxes()) box.checked = page.checked;
    if (event.target.matches("[data-tick], [data-tick-all], [data-every]")) tell();
  });
  tell();
})();

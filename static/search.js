/* The search of the top bar, and the keys that every page knows. Without scripts the form leads to a page of results. */
(() => {
  "use strict";

  const field = document.getElementById("shell-search");
  const panel = document.getElementById("search-found");
  const announce = (text) => {
    const area = document.getElementById("announce");
    if (area) area.textContent = text;
  };
  const writes = (element) => element?.closest("input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable]");

  /* --- The list below the field (WAI-ARIA: combobox with a listbox) --- */

  const options = () => [...panel.querySelectorAll("[role=option]")];
  const chosen = () => panel.querySelector("[role=option][aria-selected=true]");

  const choose = (option) => {
    chosen()?.setAttribute("aria-selected", "false");
    if (!option) { field.removeAttribute("aria-activedescendant"); return; }
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", option.id);
  };

  const show = (shown) => {
    panel.hidden = !shown;
    field.setAttribute("aria-expanded", String(shown && options().length > 0));
    if (!shown) choose(null);
  };

  const move = (step) => {
    const all = options();
    if (!all.length) return;
    const place = all.indexOf(chosen());
    // Between the last and the first lies the field itself.
    const next = place + step;
    choose(place < 0 ? all.at(step > 0 ? 0 : -1) : all[next] ?? null);
  };

  const open = () => {
    field.focus();
    field.select();
  };

  if (field && panel && window.htmx) {
    field.setAttribute("role", "combobox");
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-expanded", "false");
    field.setAttribute("aria-controls", "search-list");
    const form = field.form;
    form.classList.add("search-live");

    panel.addEventListener("htmx:afterSwap", () => {
      show(form.contains(document.activeElement));
      choose(null);
      if (!panel.hidden) announce(panel.querySelector("[data-count-said]")?.dataset.countSaid ?? "");
    });
    field.addEventListener("focus", () => { if (panel.childElementCount) show(true); });
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (panel.hidden) show(true);
        move(event.key === "ArrowDown" ? 1 : -1);
      } else if (event.key === "Enter" && chosen() && !panel.hidden) {
        event.preventDefault();
        chosen().click();
      } else if (event.key === "Escape") {
        if (!panel.hidden) { event.preventDefault(); event.stopPropagation(); show(false); } else field.value = "";
      } else if (event.key === "Tab") show(false);
    });
    panel.addEventListener("mousemove", (event) => {
      const option = event.target.closest("[role=option]");
      if (option && option !== chosen()) { chosen()?.setAttribute("aria-selected", "false"); option.setAttribute("aria-selected", "true"); field.setAttribute("aria-activedescendant", option.id); }
    });
    // The field keeps the focus while the list is clicked.
    panel.addEventListener("mousedown", (event) => event.preventDefault());
    document.addEventListener("click", (event) => { if (!form.contains(event.target)) show(false); });
    // Back from the page that was opened: the list is not what one comes back for.
    window.addEventListener("pagehide", () => show(false));
  }

  /* --- Keys --- */

  const places = { a: "home", c: "coverage", j: "journal", r: "rules", o: "payment_orders" };
  let led = 0;

  const help = async () => {
    const dialog = document.getElementById("keyboard-help");
    if (!dialog || dialog.open) return;
    const body = dialog.querySelector("[data-keys]");
    if (!body.childElementCount && window.htmx) await window.htmx.ajax("GET", body.dataset.keys, { target: body });
    dialog.showModal();
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "k" && field) {
      event.preventDefault();
      open();
      return;
    }
    if (event.ctrlKey || event.metaKey || writes(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "/" && field) { event.preventDefault(); open(); return; }
    if (event.key === "?") { event.preventDefault(); help(); return; }
    if (event.key === "g") { led = Date.now(); return; }
    const place = Date.now() - led < 1500 ? places[event.key] : null;
    led = 0;
    const link = place && document.querySelector(`#side-menu a[data-place="${place}"]`);
    if (link) { event.preventDefault(); link.click(); }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keyboard-help]") && window.htmx) { event.preventDefault(); help(); }
  });
})();

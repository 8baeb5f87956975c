/* Comfort of the pages of notification rules: a context menu on rows, recipients as tokens.
   Everything here repeats or reshapes what the page holds already. */
(() => {
  "use strict";

  const announce = (text) => {
    const area = document.getElementById("announce");
    if (area) area.textContent = text;
  };

  // --- Context menu: right click, menu key or Shift+F10 on a row; it presses the row's own buttons ---

  let close = () => {};

  const words = (element) => {
    if (element.dataset.menuItem) return element.dataset.menuItem;
    const copy = element.cloneNode(true);
    for (const hidden of copy.querySelectorAll(".visually-hidden")) hidden.remove();
    return copy.textContent.trim();
  };

  const openMenu = (row, x, y) => {
    close();
    const before = document.activeElement;
    const menu = document.createElement("div");
    menu.className = "row-menu";
    menu.setAttribute("role", "menu");
    menu.setAttribute("aria-label", row.dataset.rowMenu);
    // What a double click does stands first, wherever it is in the row.
    const sources = [...row.querySelectorAll("[data-menu-item]")].sort((one, other) => ("menuDefault" in other.dataset) - ("menuDefault" in one.dataset));
    for (const source of sources) {
      const item = document.createElement("button");
      item.type = "button";
      item.setAttribute("role", "menuitem");
      item.tabIndex = -1;
      item.textContent = words(source);
      item.addEventListener("click", () => { close(); source.click(); });
      menu.append(item);
    }
    const items = [...menu.children];
    if (!items.length) return;
    document.querySelector("main").append(menu);
    const box = menu.getBoundingClientRect();
    // Positions are set by the style object, which the policy allows; there is no style attribute in the page.
    menu.style.left = `${Math.max(4, Math.min(x, innerWidth - box.width - 4))}px`;
    menu.style.top = `${Math.max(4, Math.min(y, innerHeight - box.height - 4))}px`;
    row.classList.add("row-menu-open");
    const away = (event) => { if (!menu.contains(event.target)) close(); };
    const gone = () => close();
    const start = scrollY;
    // The page may still come to rest from the scroll that brought the row into view.
    const scrolled = () => { if (Math.abs(scrollY - start) > 40) close(); };
    close = (back = false) => {
      menu.remove();
      row.classList.remove("row-menu-open");
      document.removeEventListener("pointerdown", away, true);
      window.removeEventListener("scroll", scrolled, true);
      window.removeEventListener("blur", gone);
      window.removeEventListener("resize", gone);
      close = () => {};
      if (back && before) before.focus();
    };
    document.addEventListener("pointerdown", away, true);
    window.addEventListener("blur", gone);
    window.addEventListener("resize", gone);
    menu.addEventListener("keydown", (event) => {
      const at = items.indexOf(document.activeElement);
      const move = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
      if (move !== undefined) items[move % items.length].focus();
      else if (event.key === "Escape" || event.key === "Tab") close(true);
      else if (event.key.length === 1 && event.key !== " ") {
        const order = [...items.slice(at + 1), ...items.slice(0, at + 1)];
        order.find((item) => item.textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
        return;
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    menu.addEventListener("contextmenu", (event) => event.preventDefault());
    items[0].focus({ preventScroll: true });
    window.addEventListener("scroll", scrolled, true);
  };

  let byKey = 0;
  document.addEventListener("contextmenu", (event) => {
    const row = event.target.closest?.("[data-row-menu]");
    // Text that is being chosen, and fields, keep the menu of the browser.
    if (!row || event.target.closest("input, textarea, select") || event.shiftKey) return;
    event.preventDefault();
    // Some systems send this event after the menu key as well.
    if (Date.now() - byKey > 500) openMenu(row, event.clientX, event.clientY);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "ContextMenu" && !(event.key === "F10" && event.shiftKey)) return;
    const row = document.activeElement?.closest("[data-row-menu]");
    if (!row) return;
    event.preventDefault();
    byKey = Date.now();
    const box = document.activeElement.getBoundingClientRect();
    openMenu(row, box.left, box.bottom + 2);
  });
  document.addEventListener("dblclick", (event) => {
    const row = event.target.closest("[data-row-menu]");
    if (row && !event.target.closest("a, button, summary, input, select")) row.querySelector("[data-menu-default]")?.click();
  });

  // --- Recipients as tokens; the box and the list of the page keep the values ---

  const ADDRESS = /^[^\s@;,]+@[^\s@;,]+\.[^\s@;,]+$/;

  const tokens = (group) => {
    if (group.dataset.ready || "locked" in group.dataset) return;
    group.dataset.ready = "yes";
    const box = group.querySelector("input[type=checkbox]");
    const list = group.querySelector("textarea");
    const label = group.querySelector(`label[for="${list.id}"]`);
    const boxLabel = box.closest("label");
    const frame = document.createElement("div");
    frame.className = "token-box";
    const chips = document.createElement("ul");
    chips.className = "token-list";
    chips.setAttribute("aria-label", group.querySelector("legend").textContent.trim());
    const input = document.createElement("input");
    input.type = "text";
    input.className = "token-input";
    for (const name of ["inputmode", "autocomplete", "autocapitalize", "spellcheck", "aria-describedby", "aria-invalid"]) {
      if (list.hasAttribute(name)) input.setAttribute(name, list.getAttribute(name));
    }
    input.placeholder = group.dataset.placeholder;
    input.id = list.id;
    list.id += "_all";
    label.htmlFor = input.id;
    frame.append(chips, input);
    boxLabel.hidden = true;
    list.hidden = true;
    list.before(frame);

    let entries = [];
    const changed = () => list.dispatchEvent(new Event("change", { bubbles: true }));
    const store = () => { list.value = [...entries, input.value.trim()].filter(Boolean).join("; "); };
    const chip = (text, name, remove) => {
      const item = document.createElement("li");
      item.className = "token";
      const shown = document.createElement("span");
      shown.textContent = text;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "×";
      button.setAttribute("aria-label", `${group.dataset.remove} ${name}`);
      button.addEventListener("click", () => { remove(); draw(); announce(`${name} ${group.dataset.removed}`); input.focus(); changed(); });
      item.append(shown, button);
      return item;
    };
    const draw = () => {
      const items = [];
      const manager = boxLabel.textContent.trim();
      if (box.checked) items.push(chip(manager, manager, () => { box.checked = false; }));
      for (const entry of entries) items.push(chip(entry, entry, () => { entries = entries.filter((other) => other !== entry); store(); }));
      if (!box.checked) {
        const item = document.createElement("li");
        const add = document.createElement("button");
        add.type = "button";
        add.className = "token-add";
        add.textContent = `+ ${manager}`;
        add.addEventListener("click", () => { box.checked = true; draw(); announce(`${manager} ${group.dataset.added}`); input.focus(); changed(); });
        item.append(add);
        items.push(item);
      }
      chips.replaceChildren(...items);
    };
    /* Whole addresses become tokens; what is no address stays to be corrected. */
    const take = () => {
      const pieces = input.value.split(/[;,\s]+/).filter(Boolean);
      const good = pieces.filter((piece) => ADDRESS.test(piece));
      const known = new Set(entries.map((entry) => entry.toLowerCase()));
      for (const piece of good) if (!known.has(piece.toLowerCase())) { entries.push(piece); known.add(piece.toLowerCase()); }
      input.value = pieces.filter((piece) => !ADDRESS.test(piece)).join("; ");
      store();
      if (good.length) { draw(); announce(`${good.join(", ")} ${group.dataset.added}`); changed(); }
      return good.length > 0;
    };
    input.addEventListener("input", () => { if (/[;,\s]/.test(input.value.trim())) take(); else store(); });
    input.addEventListener("blur", take);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && input.value.trim()) { event.preventDefault(); take(); }
      else if (event.key === "Backspace" && !input.value && entries.length) { entries.pop(); store(); draw(); changed(); }
    });
    input.value = list.value;
    const first = list.value;
    take();
    // Showing tokens is no change of what the server sent.
    if (!input.value) list.value = first;
    draw();
  };

  const prepare = (root) => { for (const group of root.querySelectorAll("[data-tokens]")) tokens(group); };
  document.addEventListener("htmx:load", (event) => prepare(event.target));
  prepare(document);
})();

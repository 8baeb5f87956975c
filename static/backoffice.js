/* Comfort on top of pages that work without it. No inline handlers: everything hangs on data-* attributes. */
(() => {
  "use strict";

  const announce = (text) => {
    const area = document.getElementById("announce");
    if (area) area.textContent = text;
  };

  const copyText = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // No clipboard API on plain http: select a throw-away field instead.
      const field = document.createElement("textarea");
      field.value = text;
      field.setAttribute("readonly", "");
      field.className = "visually-hidden";
      document.body.append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      return done;
    }
  };

  /* French writes a space before : ; ! ? » and after «, where a line must not break. */
  const bindPunctuation = (root) => {
    const top = root === document ? document.body : root;
    if (document.documentElement.lang !== "fr" || !top.ownerDocument?.contains(top)) return;
    const texts = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode;
      if (!/ [:;!?»]|« /.test(node.data) || node.parentElement?.closest("textarea, pre, code, option, script, [data-verbatim]")) continue;
      node.data = node.data.replace(/ (?=[:;!?»])/g, "\u00a0").replace(/« /g, "«\u00a0");
    }
  };

  const prepare = (root) => {
    bindPunctuation(root);
    for (const button of root.querySelectorAll("[data-copy][hidden], [data-print][hidden], [data-show-with-script][hidden]")) button.hidden = false;
    for (const element of root.querySelectorAll("[data-hide-with-script]")) element.hidden = true;
    for (const form of root.querySelectorAll("form[data-save-bar]")) watch(form);
    for (const field of root.querySelectorAll("input[type=password][data-reveal]")) addReveal(field);
  };

  /* A button beside a password shows what was typed; sent, the field is a password again, so that no
     browser keeps it among ordinary texts. */
  const addReveal = (field) => {
    if (field.dataset.revealable) return;
    field.dataset.revealable = "yes";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "reveal";
    const whose = document.createElement("span");
    whose.className = "visually-hidden";
    whose.textContent = ` : ${field.labels[0]?.textContent.trim() ?? ""}`;
    const show = (shown) => {
      field.type = shown ? "text" : "password";
      button.replaceChildren(shown ? field.dataset.conceal : field.dataset.reveal, whose);
    };
    const frame = document.createElement("div");
    frame.className = "with-reveal";
    field.before(frame);
    frame.append(field, button);
    show(false);
    button.addEventListener("click", () => show(field.type === "password"));
    field.form?.addEventListener("submit", () => show(false));
  };

  /* The save bar shows once a form differs from what the server sent; a form that came back with
     errors counts as changed. */
  const watch = (form) => {
    const bar = form.querySelector(".save-bar");
    if (!bar || form.dataset.watched) return;
    form.dataset.watched = "yes";
    // What only steers a preview is not stored, nor is the identity of the form.
    const state = () => new URLSearchParams([...new FormData(form)].filter(([k]) => !k.startsWith("preview_") && k !== "submission").map(([k, v]) => [k, String(v)])).toString();
    // A refusal that names no field stands above the form.
    const refused = form.querySelector(".is-invalid, .field-error") || form.closest("main")?.querySelector(".error-summary");
    const first = refused ? null : state();
    let leaving = false;
    const changed = () => first === null || state() !== first;
    const refresh = () => {
      const always = form.hasAttribute("data-save-bar-always");
      bar.classList.toggle("save-bar-idle", !always && !changed());
      bar.classList.toggle("save-bar-fresh", always && !changed());
    };
    form.addEventListener("input", refresh);
    form.addEventListener("change", refresh);
    form.addEventListener("htmx:afterSettle", refresh);
    form.addEventListener("submit", (event) => { leaving = !event.submitter?.hasAttribute("formtarget"); });
    bar.addEventListener("click", (event) => { if (event.target.closest("a")) leaving = true; });
    window.addEventListener("beforeunload", (event) => { if (!leaving && changed() && first !== null) event.preventDefault(); });
    bar.classList.add("save-bar-live");
    refresh();
  };

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      if (await copyText(copy.dataset.copy)) {
        copy.classList.add("copied");
        announce(copy.dataset.done || "");
        setTimeout(() => copy.classList.remove("copied"), 1500);
      }
      return;
    }
    if (event.target.closest("[data-print]")) { window.print(); return; }
    for (const open of document.querySelectorAll("details.dropdown-menu-plain[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of document.querySelectorAll("details.dropdown-menu-plain[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
  });

  /* A form that stays on the page after it had an effect is another form from then on: the server names it. */
  document.addEventListener("htmx:afterRequest", (event) => {
    const named = event.detail.xhr?.getResponseHeader("Submission");
    const sent = event.detail.requestConfig?.parameters?.submission;
    if (!named || !sent) return;
    for (const field of document.querySelectorAll("input[name=submission]")) if ([sent].flat().includes(field.value)) field.value = named;
  });

  /* A long menu opens where one is. */
  const menu = document.getElementById("side-menu");
  const showCurrent = () => {
    const current = menu.querySelector("[aria-current]");
    if (current) menu.scrollTop = Math.max(0, current.offsetTop - menu.clientHeight / 2);
  };
  if (menu) {
    menu.addEventListener("toggle", showCurrent);
    showCurrent();
  }

  /* A fold that is drawn anew while somebody types stays as it was left. */
  const unfolded = new Set();
  document.addEventListener("htmx:beforeSwap", (event) => {
    const fold = event.detail.target?.querySelector?.(".effect-toggle");
    if (fold) unfolded[fold.open ? "add" : "delete"](event.detail.target.id);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const fold = event.detail.target?.querySelector?.(".effect-toggle");
    if (fold) fold.open = unfolded.has(event.detail.target.id);
  });

  document.addEventListener("htmx:load", (event) => prepare(event.target));

  /* What a link leads to may lie in a fold; not every browser opens it. */
  const unfoldTarget = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    let opened = false;
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      if (!fold.open) opened = fold.open = true;
    }
    if (opened) target.scrollIntoView();
  };
  window.addEventListener("hashchange", unfoldTarget);

  const start = () => {
    prepare(document);
    unfoldTarget();
    document.querySelector("[data-focus-first]")?.focus();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

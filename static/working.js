/* Every form shows that it is working: the button that was pressed is out of use and says its verb, a bar runs at
   the top of the page. The server makes sure that a form sent twice has one effect; this is for the person.
   Used by all pages, also without htmx: the back office, the public pages, the Django admin. */
(() => {
  "use strict";

  const words = document.currentScript.dataset.working;
  const page = document.documentElement;
  // An answer that is a file, or none at all, leaves the page as it is: after this long the form may be used again.
  const FORGOTTEN_AFTER = 8000;
  const restore = new Map();

  const announce = (text) => {
    const area = document.getElementById("announce");
    if (area) area.textContent = text;
  };

  const buttonsOf = (form) => [...form.elements].filter((item) =>
    (item.tagName === "BUTTON" && item.type === "submit") || (item.tagName === "INPUT" && ["submit", "image"].includes(item.type)));

  const verbOf = (text) => `${text.replace(/[\s…]+$/u, "")}…`;

  const press = (button) => {
    button.classList.add("is-working");
    if (button.tagName === "INPUT") {
      const before = button.value;
      button.value = verbOf(before);
      return () => { button.classList.remove("is-working"); button.value = before; };
    }
    // The words a button ends with; a button of a picture alone keeps it.
    const texts = document.createTreeWalker(button, NodeFilter.SHOW_TEXT);
    let last = null;
    while (texts.nextNode()) if (texts.currentNode.data.trim() && !texts.currentNode.parentElement.closest(".visually-hidden")) last = texts.currentNode;
    const before = last?.data;
    if (last) last.data = verbOf(before);
    return () => { button.classList.remove("is-working"); if (last) last.data = before; };
  };

  const start = (form, submitter) => {
    const buttons = buttonsOf(form).filter((button) => !button.disabled);
    const pressed = submitter ?? buttons[0];
    const undo = pressed ? press(pressed) : () => {};
    for (const button of buttons) button.disabled = true;
    form.setAttribute("aria-busy", "true");
    page.classList.add("working");
    announce(words);
    const forget = setTimeout(() => end(form), FORGOTTEN_AFTER);
    restore.set(form, () => {
      clearTimeout(forget);
      undo();
      for (const button of buttons) button.disabled = false;
      form.removeAttribute("aria-busy");
      if (document.activeElement === document.body && pressed?.isConnected) pressed.focus({ preventScroll: true });
    });
  };

  const end = (form) => {
    restore.get(form)?.();
    restore.delete(form);
    if (restore.size) return;
    page.classList.remove("working");
    announce("");
  };

  // Last of all: whoever refused the submission, or took it over, has done so by then.
  window.addEventListener("submit", (event) => {
    const form = event.target;
    if (restore.has(form)) { event.preventDefault(); return; }
    const elsewhere = event.submitter?.getAttribute("formtarget") ?? form.target;
    const method = event.submitter?.getAttribute("formmethod") ?? form.getAttribute("method");
    if (event.defaultPrevented || method === "dialog" || (elsewhere && elsewhere !== "_self")) return;
    restore.set(form, () => {});
    // What is out of use is not sent, so first the form is read.
    setTimeout(() => start(form, event.submitter), 0);
  });

  // Back from the next page, which shows this one as it was left.
  window.addEventListener("pageshow", () => { for (const form of [...restore.keys()]) end(form); });

  /* What htmx sends stays on the page. Previews that follow one's typing are quiet. */
  const htmxForm = (detail) => {
    const verb = detail.requestConfig?.verb;
    return verb && verb !== "get" ? detail.elt.closest("form") ?? detail.elt.form ?? null : null;
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = htmxForm(event.detail);
    const trigger = event.detail.requestConfig?.triggeringEvent;
    const quiet = trigger && !["submit", "click"].includes(trigger.type);
    if (form && !quiet && !restore.has(form)) start(form, trigger?.submitter ?? (event.detail.elt.matches("button") ? event.detail.elt : undefined));
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = htmxForm(event.detail);
    if (form) end(form);
    // The form itself may have been replaced by the answer.
    for (const other of [...restore.keys()]) if (!other.isConnected) end(other);
  });
})();

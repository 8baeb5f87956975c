/* Content of a rule's mail: inserting fields, ordering them, the preview that follows the typing. */
(() => {
  "use strict";

  const form = document.getElementById("content-form");
  if (!form) return;
  const live = document.querySelector("[data-live-preview]");
  const body = document.getElementById("id_body");
  let last = body;

  form.addEventListener("focusin", (event) => {
    if (event.target.matches("#id_subject, #id_body")) last = event.target;
  });

  let waiting = 0;
  const refresh = (delay) => {
    if (!live) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => window.htmx?.trigger(live, "preview"), delay);
  };
  form.addEventListener("input", () => refresh(600));
  document.addEventListener("change", (event) => {
    if (event.target.form === form && event.target.matches("select")) refresh(0);
  });

  const changed = () => form.dispatchEvent(new Event("input", { bubbles: true }));

  form.addEventListener("click", (event) => {
    const insert = event.target.closest("[data-insert]");
    if (insert) {
      const field = document.getElementById(insert.dataset.insertInto || "") || last;
      // A block stands alone between two blank lines.
      const text = insert.dataset.insertInto ? `\n\n${insert.dataset.insert}\n\n` : insert.dataset.insert;
      field.focus();
      field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
      changed();
      return;
    }
    const move = event.target.closest("[data-move]");
    if (!move) return;
    event.preventDefault();
    const row = move.closest("li");
    if (move.dataset.move === "up") row.previousElementSibling?.before(row);
    else row.nextElementSibling?.after(row);
    move.focus();
    changed();
  });
})();

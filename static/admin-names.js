// Names for what the framework's own scripts draw without any.
"use strict";

function nameChoices() {
  for (const box of document.querySelectorAll(".select2-container")) {
    const shown = box.querySelector(".select2-selection__rendered");
    const select = box.previousElementSibling;
    const label = select && select.id && document.querySelector(`label[for="${select.id}"]`);
    const name = (label && label.textContent.trim()) || (select && select.getAttribute("aria-label")) || "";
    // What is chosen is read as the value of the box around it; alone it would be a field without a name.
    if (shown && shown.getAttribute("role") === "textbox") {
      shown.removeAttribute("role");
      shown.removeAttribute("aria-readonly");
    }
    for (const field of box.querySelectorAll(".select2-search__field")) field.setAttribute("aria-label", name);
  }
}

nameChoices();
// They are drawn later, and again with each row added.
new MutationObserver(nameChoices).observe(document.body, { childList: true, subtree: true });

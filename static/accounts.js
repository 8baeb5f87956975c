/* Rights of an account: boxes and the choice above them never say different things. The server refuses what
   contradicts itself; here it does not come about. */
(() => {
  "use strict";

  const announce = (text) => {
    const area = document.getElementById("announce");
    if (area) area.textContent = text;
  };

  /* Boxes that count under one choice only: ticking one makes that choice, another choice unticks them.
     They come back with the choice; `first` gives those to start from. */
  const bind = (form, boxes, radios, wanted, first = () => []) => {
    const own = radios.find((radio) => radio.value === wanted);
    if (!own || !boxes.length) return;
    let kept = null;
    let before = radios.find((radio) => radio.checked)?.value;
    for (const box of boxes) box.addEventListener("change", () => {
      if (!box.checked || own.checked) return;
      own.checked = true;
      before = wanted;
      announce(own.labels[0]?.textContent.trim() ?? "");
    });
    for (const radio of radios) radio.addEventListener("change", () => {
      if (radio === own) {
        const start = kept ?? first(before);
        if (!boxes.some((box) => box.checked)) for (const box of boxes) box.checked = start.includes(box.value);
      } else if (before === wanted) {
        kept = boxes.filter((box) => box.checked).map((box) => box.value);
        for (const box of boxes) box.checked = false;
      }
      before = radio.value;
    });
  };

  for (const form of document.querySelectorAll("form")) {
    const named = (name) => [...form.querySelectorAll(`input[name="${name}"]`)];
    bind(form, named("shops"), named("coverage"), "some");
    const own = named("own");
    bind(form, own, named("role"), "custom", (role) =>
      own.filter((box) => box.closest("[data-granted]")?.dataset.granted.split(" ").includes(role)).map((box) => box.value));
  }

  /* Whoever asks for permissions of one's own sees them. */
  document.addEventListener("change", (event) => {
    const fold = event.target.form?.querySelector(`[data-opens-with="${event.target.name}=${event.target.value}"]`);
    if (fold) fold.open = true;
  });

  /* Rights by shop: a box that is touched means permissions of one's own on that shop. */
  document.addEventListener("change", (event) => {
    const site = event.target.dataset?.rightsBox;
    const choice = site && document.getElementById(`choice-${site}`);
    if (choice && [...choice.options].some((option) => option.value === "custom")) choice.value = "custom";
  });
})();

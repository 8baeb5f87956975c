/* While a form is saved, a bar that counts: the page stays until the answer comes and asks how far the work is. */
(() => {
  "use strict";

  const EVERY = 400;
  for (const frame of document.querySelectorAll("[data-progress-of]")) {
    const form = document.getElementById(frame.dataset.progressOf);
    const bar = frame.querySelector("progress");
    const words = frame.querySelector("label");
    const total = Number(frame.dataset.total);
    let shown = 0;
    let timer = 0;

    const show = (done) => {
      shown = Math.max(shown, done);
      bar.value = shown;
      words.textContent = frame.dataset.words.replace("{done}", shown.toLocaleString(document.documentElement.lang)).replace("{total}", total.toLocaleString(document.documentElement.lang));
    };
    const ask = async () => {
      const url = new URL(document.URL);
      url.hash = "";
      url.search = "";
      url.searchParams.set("progress", form.elements.progress.value);
      try {
        const answer = await fetch(url, { headers: { Accept: "application/json" } });
        if (answer.ok) show((await answer.json()).done);
      } catch {
        // The next page is on its way.
      }
      timer = setTimeout(ask, EVERY);
    };

    form.addEventListener("submit", (event) => {
      if (event.defaultPrevented || timer) return;
      frame.hidden = false;
      show(0);
      timer = setTimeout(ask, EVERY);
    });
    // Back from the next page.
    window.addEventListener("pageshow", () => {
      clearTimeout(timer);
      timer = 0;
      shown = 0;
      frame.hidden = true;
    });
  }
})();

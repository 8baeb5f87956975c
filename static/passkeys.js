/* Passkeys. A form with data-passkey="create" or "get" runs the browser's ceremony and then sends its result
   in the field « credential ». The options come with the page (data-options: the id of a JSON script) or
   from an address (data-options-url). Without passkeys in the browser the page says so and offers the rest. */
(() => {
  "use strict";

  const bytes = (text) => {
    const plain = text.replace(/-/g, "+").replace(/_/g, "/");
    return Uint8Array.from(atob(plain + "=".repeat((4 - (plain.length % 4)) % 4)), (letter) => letter.charCodeAt(0));
  };
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const known = (list) => (list || []).map((entry) => ({ ...entry, id: bytes(entry.id) }));

  const create = async (options) => {
    const credential = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: known(options.excludeCredentials),
      },
    });
    return { credential, response: { attestationObject: text(credential.response.attestationObject) } };
  };

  const get = async (options) => {
    const credential = await navigator.credentials.get({
      publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: known(options.allowCredentials) },
    });
    const { authenticatorData, signature, userHandle } = credential.response;
    return {
      credential,
      response: {
        authenticatorData: text(authenticatorData),
        signature: text(signature),
        userHandle: userHandle ? text(userHandle) : null,
      },
    };
  };

  const ceremonies = { create, get };

  const optionsOf = async (form) => {
    if (form.dataset.options) return JSON.parse(document.getElementById(form.dataset.options).textContent);
    const answer = await fetch(form.dataset.optionsUrl, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`options: ${answer.status}`);
    return answer.json();
  };

  const run = async (form, button) => {
    const problem = form.querySelector("[data-passkey-error]");
    problem.hidden = true;
    button.disabled = true;
    document.documentElement.classList.add("working");
    try {
      const options = await optionsOf(form);
      const { publicKey } = options.creation_options || options.request_options;
      const { credential, response } = await ceremonies[form.dataset.passkey](publicKey);
      form.elements.credential.value = JSON.stringify({
        id: credential.id,
        rawId: text(credential.rawId),
        type: credential.type,
        authenticatorAttachment: credential.authenticatorAttachment,
        clientExtensionResults: credential.getClientExtensionResults(),
        response: { clientDataJSON: text(credential.response.clientDataJSON), ...response },
      });
      form.submit();
    } catch (error) {
      // Cancelled, timed out, or the device has none for this site: the browser does not tell them apart.
      problem.textContent = error.name === "InvalidStateError" ? problem.dataset.already : problem.dataset.failed;
      problem.hidden = false;
      document.documentElement.classList.remove("working");
      button.disabled = false;
      button.focus();
    }
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) continue;
    for (const element of form.querySelectorAll("[data-passkey-show]")) element.hidden = false;
    for (const element of form.querySelectorAll("[data-passkey-hide]")) element.hidden = true;
    const button = form.querySelector("[data-passkey-start]");
    button.addEventListener("click", () => run(form, button));
    form.addEventListener("submit", (event) => {
      // Enter in the field of the name starts the ceremony too.
      event.preventDefault();
      button.click();
    });
  }
})();

/* A new company: the incident field starts with the address of the Contact gestionnaire, as a plain value that
   follows what is typed until somebody writes there. The server proposes the same where no script runs. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const manager = document.getElementById("id_manager_email");
  const incident = document.getElementById("id_incident_emails");
  const proposed = document.getElementById("id_incident_proposed");
  if (!manager || !incident || !proposed || proposed.value || incident.value.trim()) return;
  let ours = "";
  let touched = false;
  incident.addEventListener("input", () => { touched = true; });
  const follow = () => {
    if (touched || incident.value !== ours) return;
    ours = manager.value.trim();
    incident.value = ours;
    // Emptied after this, the field says that nobody is to be told.
    if (ours) proposed.value = "1";
  };
  manager.addEventListener("input", follow);
  manager.addEventListener("change", follow);
  follow();
});

/** What of the worklist is shown. Who a patient or a study is stays in memory: addresses are logged and remembered. */

import { useState } from "preact/hooks";

import { html } from "../html.js";
import { Choice } from "../parts/choice.js";
import { REVIEW_STATES, suspicion, URGENCIES } from "../parts/words.js";

/** Filters that may stand in the page's address. */
const IN_ADDRESS = ["urgency", "review_state", "positive", "modality", "model_digest", "batch_id", "received_from", "received_before"];

/** The filters that an address asks for. */
export function filtersOf(query) {
  const filters = Object.fromEntries(IN_ADDRESS.filter((name) => query[name]).map((name) => [name, query[name]]));
  if (filters.positive) filters.positive = filters.positive === "true";
  return filters;
}

/** The address of the worklist with these filters. */
export function addressOfFilters(filters) {
  const given = IN_ADDRESS.filter((name) => filters[name] !== undefined && filters[name] !== "").map((name) => [name, String(filters[name])]);
  return given.length ? `/?${new URLSearchParams(given)}` : "/";
}

/** The fields above the worklist. `onPrivate` gets what must not stand in an address. */
export function Filters({ filters, onChange, secret, onPrivate }) {
  const [patient, setPatient] = useState(secret.patient_id ?? "");
  const set = (name) => (value) => onChange({ ...filters, [name]: value || undefined });
  const positive = filters.positive === undefined ? "" : String(filters.positive);
  const other = ["batch_id", "model_digest", "received_from", "received_before"].filter((name) => filters[name]);
  return html`<form class="fields" role="search" aria-label="Worklist" onSubmit=${(event) => {
    event.preventDefault();
    onPrivate(patient.trim() ? { patient_id: patient.trim() } : {});
  }}>
    <${Choice} label="Urgency" first="any" value=${filters.urgency ?? ""} options=${URGENCIES} onChange=${set("urgency")} />
    <${Choice} label="Review" first="any" value=${filters.review_state ?? ""} options=${REVIEW_STATES} onChange=${set("review_state")} />
    <${Choice} label="Finding" first="any" value=${positive} options=${{ true: suspicion({ positive: true }), false: suspicion({ positive: false }) }} onChange=${set("positive")} />
    <label>Modality <input size="4" maxlength="16" value=${filters.modality ?? ""} onChange=${(event) => set("modality")(event.target.value.trim().toUpperCase())} /></label>
    <label>Patient ID <input value=${patient} maxlength="64" autocomplete="off" onInput=${(event) => setPatient(event.target.value)} /></label>
    <button>Find</button>
    ${(other.length > 0 || secret.patient_id) && html`<span class="chips">
      ${other.map((name) => html`<button type="button" class="chip" onClick=${() => onChange({ ...filters, [name]: undefined })}>${CHIPS[name](filters[name])} ✕</button>`)}
      ${secret.patient_id && html`<button type="button" class="chip" onClick=${() => {
        setPatient("");
        onPrivate({});
      }}>One patient ✕</button>`}
    </span>`}
  </form>`;
}

const CHIPS = {
  batch_id: () => "One batch",
  model_digest: () => "One model",
  received_from: (at) => `From ${new Date(at).toLocaleString()}`,
  received_before: (at) => `Before ${new Date(at).toLocaleString()}`,
};

/** A list to choose from, with its label. */

import { html } from "../html.js";

/** `options` are words by value; `first` is what stands before them, such as "any", for the value "". */
export function Choice({ label, value, options, onChange, first, quiet }) {
  return html`<label class=${quiet ? "quiet" : undefined}>${label} <select value=${value} onChange=${(event) => onChange(event.target.value)}>
    ${first && html`<option value="">${first}</option>`}
    ${Object.entries(options).map(([each, words]) => html`<option value=${each}>${words}</option>`)}
  </select></label>`;
}

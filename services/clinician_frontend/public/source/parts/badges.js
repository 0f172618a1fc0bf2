/** Small marks that say a state in a word and a colour; never in a colour alone. */

import { html } from "../html.js";
import { FILE_STATUSES, REVIEW_STATES, URGENCIES } from "./words.js";

export function UrgencyBadge({ urgency }) {
  return html`<span class=${`badge urgency-${urgency}`}>${URGENCIES[urgency] ?? urgency}</span>`;
}

export function ReviewBadge({ state }) {
  return html`<span class=${`badge review-${state}`}>${REVIEW_STATES[state] ?? state}</span>`;
}

export function StatusBadge({ status }) {
  return html`<span class=${`badge status-${status}`}>${FILE_STATUSES[status] ?? status}</span>`;
}

/** Whether what is shown follows what happens. */
export function LiveMark({ live }) {
  return html`<span class=${`live ${live ? "on" : "off"}`} role="status">${live ? "Live" : "Not live: connecting …"}</span>`;
}

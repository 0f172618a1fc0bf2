/** A wide table in a box of its own that scrolls, by keyboard too. */

import { html } from "../html.js";

export function Scrolling({ label, tall, children }) {
  return html`<div class=${tall ? "scroll tall" : "scroll"} tabindex="0" role="region" aria-label=${label}>${children}</div>`;
}

/** A figure with its name. */

import { html } from "../html.js";

export function Tile({ name, value, children }) {
  return html`<div class="tile"><span class="quiet">${name}</span><strong>${value}</strong>${children}</div>`;
}

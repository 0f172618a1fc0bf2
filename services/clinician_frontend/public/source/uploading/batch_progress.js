/** How far a batch is, as a bar in parts. */

import { html } from "../html.js";

const PARTS = [
  ["reported", "reported"],
  ["failed", "failed"],
  ["rejected", "refused"],
  ["cancelled", "cancelled"],
  ["processing", "being screened"],
  ["queued", "waiting"],
];

export function BatchProgress({ counts }) {
  const words = PARTS.filter(([name]) => counts[name]).map(([name, said]) => `${counts[name]} ${said}`).join(", ") || "no files yet";
  const total = Math.max(1, counts.received);
  let at = 0;
  const part = ([name]) => {
    const x = at;
    at += counts[name];
    return html`<rect class=${`part ${name}`} x=${(100 * x) / total} width=${(100 * counts[name]) / total} height="8" />`;
  };
  return html`<div class="parts">
    <svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=${words}>${PARTS.map(part)}</svg>
    <span>${words}</span>
  </div>`;
}

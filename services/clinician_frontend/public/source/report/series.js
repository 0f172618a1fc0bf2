/** The images of a series side by side, the key images marked. */

import { html } from "../html.js";
import { Failure } from "../parts/loading.js";
import { probability } from "../parts/numbers.js";
import { suspicion } from "../parts/words.js";

export function SeriesStrip({ images, at, keyImages, error }) {
  if (error) return html`<${Failure} error=${error} />`;
  if (images.length < 2) return null;
  return html`<nav class="series" aria-label="Images of the series"><ol>
    ${images.map((report, place) => {
      const isKey = keyImages.includes(report.report_id);
      const words = `Image ${place + 1}, ${suspicion(report)}, ${probability(report.probability)}${isKey ? ", key image" : ""}`;
      return html`<li key=${report.report_id}><a href=${`/reports/${report.report_id}`} class=${`${report.positive ? "positive" : ""} ${isKey ? "key" : ""}`}
        aria-current=${report.report_id === at ? "true" : undefined} title=${words} aria-label=${words}>${place + 1}${isKey ? "★" : ""}</a></li>`;
    })}
  </ol></nav>`;
}

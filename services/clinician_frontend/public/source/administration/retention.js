/** For how long the tenant's reports are kept. */

import { getRetention } from "../api/reports.js";
import { html } from "../html.js";
import { Failure, Loading, useFetched } from "../parts/loading.js";
import { count } from "../parts/numbers.js";

const DAYS_A_YEAR = 365.25;

export function Retention() {
  const { value, error, loading, reload } = useFetched(getRetention, []);
  return html`<section class="box" aria-labelledby="retention"><h2 id="retention">Retention</h2>
    <${Failure} error=${error} again=${reload} /><${Loading} when=${loading && !value} />
    ${value && retentionWords(value).map((sentence) => html`<p>${sentence}</p>`)}
    <p class="fine">Whoever runs Radrelay sets this. Refused files have a time of their own.</p>
  </section>`;
}

/** What a policy means, sentence by sentence. */
export function retentionWords({ days, days_by_modality }) {
  const own = Object.entries(days_by_modality).sort().map(([modality, time]) => `${modality} after ${daysWords(time)}`);
  if (days === null && own.length === 0) return ["Nothing goes by itself: reports and their images are kept until somebody erases them."];
  const counted = "Days are counted from when an image was received. Its reports, reviews and pictures go with it, for good.";
  if (days === null) return [`Only reports and images of these modalities go by themselves: ${own.join(", ")}.`, "All others are kept until somebody erases them.", counted];
  const all = `Reports and their images go by themselves after ${daysWords(days)}.`;
  return own.length === 0 ? [all, counted] : [all, `Modalities with a time of their own: ${own.join(", ")}.`, counted];
}

function daysWords(days) {
  const years = days / DAYS_A_YEAR;
  const about = years >= 2 ? ` (about ${Math.round(years)} years)` : "";
  return `${count(days)} ${days === 1 ? "day" : "days"}${about}`;
}

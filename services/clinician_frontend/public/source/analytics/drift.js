/** Whether images score otherwise than in the period before, which may be the patients, the scanners or the model. */

import { html } from "../html.js";
import { count } from "../parts/numbers.js";

const LEAST_CASES = 100;
const LEAST_SHARE = 0.0005;

/**
 * The population stability index of two histograms of the same bins: the sum of (p - q) ln(p / q) over the shares of
 * their bins, an empty bin counting as half a thousandth. Under 0.1 is usually called stable, over 0.25 a shift
 * (N. Siddiqi, "Credit Risk Scorecards", 2006). Null where one has too few cases to say.
 */
export function stabilityIndex(bins, before) {
  const [total, totalBefore] = [bins, before].map((each) => each.reduce((sum, { cases }) => sum + cases, 0));
  if (Math.min(total, totalBefore) < LEAST_CASES) return null;
  return bins.reduce((sum, bin, place) => {
    const p = Math.max(bin.cases / total, LEAST_SHARE);
    const q = Math.max(before[place].cases / totalBefore, LEAST_SHARE);
    return sum + (p - q) * Math.log(p / q);
  }, 0);
}

export function Drift({ histogram, before }) {
  const index = stabilityIndex(histogram.bins, before.bins);
  const from = `${before.period.first} to ${before.period.last}`;
  return html`<section class="box"><h2>Drift of probabilities</h2>${index === null
    ? html`<p class="quiet">Fewer than ${count(LEAST_CASES)} cases in this period or in that before (${from}): too few to say.</p>`
    : html`<p><strong>${index.toFixed(3)}</strong> <span class=${`badge ${index < 0.1 ? "review-agree" : index <= 0.25 ? "review-unsure" : "review-disagree"}`}>${wordsOf(index)}</span></p>
      <p class="fine">Population stability index of the calibrated probabilities against ${from}: under 0.1 is stable, over 0.25 a shift. A shift may lie in patients, scanners or model.</p>`}
  </section>`;
}

function wordsOf(index) {
  if (index < 0.1) return "Stable";
  return index <= 0.25 ? "Some change" : "Shift";
}

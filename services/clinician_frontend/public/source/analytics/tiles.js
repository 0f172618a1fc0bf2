/** The figures of a period beside those of the one before. */

import { html } from "../html.js";
import { count, share } from "../parts/numbers.js";
import { Tile } from "../parts/tile.js";

export function Tiles({ summary }) {
  const { before } = summary;
  const interval = summary.positivity_interval;
  return html`<div class="tiles">
    <${Figure} name="Cases" value=${count(summary.total_cases)} now=${summary.total_cases} then=${before.total_cases} />
    <${Figure} name="Positivity rate" value=${share(summary.positivity_rate, 1)} more=${interval && `95% interval ${share(interval.low, 1)} to ${share(interval.high, 1)}`} then=${before.positivity_rate} now=${summary.positivity_rate} asShare=${true} />
    <${Figure} name="Average confidence" value=${share(summary.average_confidence, 1)} then=${before.average_confidence} now=${summary.average_confidence} asShare=${true} />
    <${Figure} name="Stat" value=${count(summary.by_urgency.stat)} now=${summary.by_urgency.stat} then=${before.by_urgency.stat} />
    <${Figure} name="Reviewed" value=${count(summary.reviewed_cases)} now=${summary.reviewed_cases} then=${before.reviewed_cases} />
    <${Figure} name="Failed" value=${count(summary.failed_cases)} now=${summary.failed_cases} then=${before.failed_cases} />
  </div>`;
}

function Figure({ name, value, more, now, then, asShare }) {
  return html`<${Tile} name=${name} value=${value}>${more && html`<span class="fine">${more}</span>`}<span class="fine">${changeWords(now, then, asShare)}</span><//>`;
}

function changeWords(now, then, asShare) {
  if (now === null || then === null || now === undefined || then === undefined) return "nothing before to compare with";
  const change = now - then;
  const sign = change > 0 ? "+" : change < 0 ? "−" : "±";
  const size = asShare ? `${(100 * Math.abs(change)).toFixed(1)} points` : count(Math.abs(change));
  return `${sign}${size} against the period before`;
}

/** Figures by one dimension, turnaround, agreement and failures, as tables that lead to the cases. */

import { html } from "../html.js";
import { count, duration, share } from "../parts/numbers.js";
import { Scrolling } from "../parts/scrolling.js";
import { capitalised, reasonWords, URGENCIES } from "../parts/words.js";
import { addressOfFilters } from "../worklist/filters.js";
import { addDays, momentOf } from "./period.js";

const FILTERS = { urgency: "urgency", modality: "modality", model: "model_digest" };

/** A table in a box. */
function Table({ title, columns, rows, empty = "Nothing in this period." }) {
  return html`<section class="box"><h2>${title}</h2>${rows.length === 0 ? html`<p class="quiet">${empty}</p>` : html`<${Scrolling} label=${title}><table>
    <thead><tr>${columns.map((name, place) => html`<th scope="col" class=${place ? "number" : ""}>${name}</th>`)}</tr></thead>
    <tbody>${rows.map(([first, ...cells]) => html`<tr><th scope="row">${first}</th>${cells.map((cell) => html`<td class="number">${cell}</td>`)}</tr>`)}</tbody>
  </table><//>`}</section>`;
}

export function Breakdown({ title, breakdown }) {
  const { dimension, parts, period, time_zone } = breakdown;
  const range = {
    received_from: momentOf(`${period.first}T00:00:00`, time_zone).toISOString(),
    received_before: momentOf(`${addDays(period.last, 1)}T00:00:00`, time_zone).toISOString(),
  };
  const name = ({ value, label }) => (dimension === "urgency" ? URGENCIES[value] : (label ?? value));
  const link = (part) => (FILTERS[dimension] && part.counts?.cases ? html`<a href=${addressOfFilters({ ...range, [FILTERS[dimension]]: part.value })}>${name(part)}</a>` : name(part));
  const rows = parts.map((part) =>
    part.withheld
      ? [name(part), "withheld", "", "", ""]
      : [link(part), count(part.counts.cases), share(part.counts.positivity_rate, 1), share(part.counts.average_confidence, 1), part.agreement?.reviewed ? share(part.agreement.rate) : "–"],
  );
  return html`<${Table} title=${title} columns=${["", "Cases", "Positive", "Confidence", "Agreement"]} rows=${rows} />`;
}

export function Turnaround({ turnaround }) {
  const rows = turnaround.by_priority
    .filter(({ cases }) => cases > 0)
    .map(({ priority, cases, p50_s, p90_s, p95_s, p99_s }) => [URGENCIES[priority] ?? capitalised(priority), count(cases), duration(p50_s), duration(p90_s), duration(p95_s), duration(p99_s)]);
  return html`<${Table} title="From upload to report, by priority" columns=${["", "Cases", "Half", "90%", "95%", "99%"]} rows=${rows} />`;
}

export function Agreement({ agreement }) {
  const rows = [["All", agreement.all], ["Positive", agreement.positive], ["Negative", agreement.negative]]
    .filter(([, { reviewed }]) => reviewed > 0)
    .map(([name, each]) => [name, count(each.reviewed), count(each.agreed), count(each.disagreed), count(each.unsure), share(each.rate, 1)]);
  return html`<${Table} title="Agreement with reviewers" columns=${["Reports", "Reviewed", "Agreed", "Disagreed", "Unsure", "Rate"]} rows=${rows} empty="Nothing was reviewed in this period." />`;
}

export function Failures({ failures }) {
  const rows = failures.reasons.map(({ reason, failed_cases }) => [reasonWords(reason), count(failed_cases)]);
  return html`<${Table} title="Failures" columns=${["Why", "Images"]} rows=${rows} empty="Nothing failed in this period." />`;
}

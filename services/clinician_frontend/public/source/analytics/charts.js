/** Cases over time, and by probability. */

import { html } from "../html.js";
import { count, share } from "../parts/numbers.js";
import { addressOfFilters } from "../worklist/filters.js";
import { BarChart } from "./bar_chart.js";
import { endOfStep, momentOf } from "./period.js";

const LABELS = { hour: (start) => start.slice(5, 16).replace("T", " "), day: (start) => start.slice(5, 10), week: (start) => start.slice(5, 10), month: (start) => start.slice(0, 7) };

export function Trend({ trend }) {
  const bars = trend.points.map((point) => ({
    label: LABELS[trend.step](point.start),
    total: point.cases,
    part: point.positive,
    cells: [count(point.cases), count(point.positive), share(point.positivity_rate, 1), share(point.average_confidence, 1)],
    address: point.cases ? addressOfFilters({ received_from: at(point.start, trend), received_before: at(endOfStep(point.start, trend.step), trend) }) : null,
  }));
  return html`<${BarChart} title=${`Cases by ${trend.step}; a bar opens its cases`} bars=${bars} totalName="Cases" partName="Positive" columns=${["Cases", "Positive", "Rate", "Confidence"]} />`;
}

export function Histogram({ histogram }) {
  const bars = histogram.bins.map(({ low, high, cases, positive }) => ({
    label: `${Math.round(100 * low)}–${Math.round(100 * high)}%`,
    total: cases,
    part: positive,
    cells: [count(cases), count(positive)],
    address: null,
  }));
  return html`<${BarChart} title="Cases by calibrated probability" bars=${bars} totalName="Cases" partName="Positive" columns=${["Cases", "Positive"]} />`;
}

function at(start, trend) {
  return momentOf(start, trend.time_zone).toISOString();
}

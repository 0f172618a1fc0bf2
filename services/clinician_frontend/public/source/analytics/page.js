/** How a clinician, or for an administrator the tenant, is doing. */

import { useEffect, useState } from "preact/hooks";

import { getAgreement, getBreakdown, getExport, getFailures, getHistogram, getTrend, getTurnaround, watchSummary } from "../api/dashboard.js";
import { html } from "../html.js";
import { LiveMark } from "../parts/badges.js";
import { Choice } from "../parts/choice.js";
import { Failure, Loading, useAction, useFetched } from "../parts/loading.js";
import { saveAs } from "../parts/saving.js";
import { isAdministrator } from "../signing_in/session.js";
import { Histogram, Trend } from "./charts.js";
import { Drift } from "./drift.js";
import { lastDays, periodBefore, RANGES, stepOf } from "./period.js";
import { Agreement, Breakdown, Failures, Turnaround } from "./tables.js";
import { Tiles } from "./tiles.js";

const SCOPES = { tenant: "The tenant's", own: "My own" };

export function AnalyticsPage() {
  const [scope, setScope] = useState(isAdministrator() ? "tenant" : "own");
  const [period, setPeriod] = useState(lastDays(30));
  const chosen = { scope, ...period };
  const key = JSON.stringify(chosen);
  const [summary, setSummary] = useState(null);
  const [live, setLive] = useState(false);
  useEffect(() => {
    setSummary(null);
    return watchSummary(chosen, setSummary, setLive);
  }, [key]);
  const { value, error, loading, reload } = useFetched(async () => summary && fetchAll(chosen), [summary]);
  const [save, busy, saveError] = useAction(async () => saveAs(await getExport(chosen), `radrelay-${period.first}-${period.last}.csv`));
  const set = (name) => (event) => event.target.value && setPeriod({ ...period, [name]: event.target.value });

  return html`<section>
    <div class="title"><h1>Analytics</h1><${LiveMark} live=${live} /></div>
    <form class="fields" aria-label="Period" onSubmit=${(event) => event.preventDefault()}>
      ${isAdministrator() && html`<${Choice} label="Whose" value=${scope} options=${SCOPES} onChange=${setScope} />`}
      <span class="actions" role="group" aria-label="Ranges">${Object.entries(RANGES).map(([days, words]) => html`<button type="button" onClick=${() => setPeriod(lastDays(Number(days), summary?.time_zone))}>${words}</button>`)}</span>
      <label>From <input type="date" value=${period.first} max=${period.last} onChange=${set("first")} /></label>
      <label>To <input type="date" value=${period.last} min=${period.first} onChange=${set("last")} /></label>
      <button type="button" disabled=${busy} onClick=${save}>Export (CSV)</button>
      ${summary && html`<span class="quiet">Days in ${summary.time_zone}</span>`}
    </form>
    <${Failure} error=${saveError} /><${Failure} error=${error} again=${reload} />
    <${Loading} when=${!summary || (loading && !value)} />
    ${summary && html`<${Tiles} summary=${summary} />`}
    ${value && html`<div class="grid">
      <${Trend} trend=${value.trend} /><${Histogram} histogram=${value.histogram} />
      <${Breakdown} title="By urgency" breakdown=${value.byUrgency} />
      <${Breakdown} title="By modality" breakdown=${value.byModality} />
      <${Breakdown} title="By model" breakdown=${value.byModel} />
      ${value.byClinician && html`<${Breakdown} title="By clinician" breakdown=${value.byClinician} />`}
      <${Turnaround} turnaround=${value.turnaround} /><${Agreement} agreement=${value.agreement} /><${Failures} failures=${value.failures} />
      <${Drift} histogram=${value.histogram} before=${value.histogramBefore} />
    </div>`}
  </section>`;
}

async function fetchAll(chosen) {
  const parts = {
    trend: getTrend(chosen, stepOf(chosen)),
    histogram: getHistogram(chosen),
    histogramBefore: getHistogram({ ...chosen, ...periodBefore(chosen) }),
    byUrgency: getBreakdown(chosen, "urgency"),
    byModality: getBreakdown(chosen, "modality"),
    byModel: getBreakdown(chosen, "model"),
    byClinician: chosen.scope === "tenant" ? getBreakdown(chosen, "clinician") : null,
    turnaround: getTurnaround(chosen),
    agreement: getAgreement(chosen),
    failures: getFailures(chosen),
  };
  const values = await Promise.all(Object.values(parts));
  return Object.fromEntries(Object.keys(parts).map((name, place) => [name, values[place]]));
}

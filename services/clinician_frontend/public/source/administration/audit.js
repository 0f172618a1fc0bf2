/** The audit trails of intake and reports: who did and saw what, each record bound to the one before it. */

import { useState } from "preact/hooks";

import { intakeAuditHead, listIntakeAudit } from "../api/ingest.js";
import { listReportAudit, reportAuditHead } from "../api/reports.js";
import { html } from "../html.js";
import { Choice } from "../parts/choice.js";
import { Failure, Loading, useFetched } from "../parts/loading.js";
import { count, moment } from "../parts/numbers.js";
import { Scrolling } from "../parts/scrolling.js";

const PAGE = 100;
const TRAILS = { intake: "Intake", reports: "Reports" };
const READING = { intake: [intakeAuditHead, listIntakeAudit], reports: [reportAuditHead, listReportAudit] };

export function AuditTrails() {
  const [trail, setTrail] = useState("reports");
  const [before, setBefore] = useState(null);
  const [head, list] = READING[trail];
  const { value, error, loading, reload } = useFetched(async () => {
    const newest = await head();
    const last = before ?? newest.sequence;
    return { newest, last, ...(await list(Math.max(0, last - PAGE))) };
  }, [trail, before]);
  const records = (value?.records ?? []).filter(({ sequence }) => sequence <= value.last).reverse();
  return html`<section class="box"><h2>Audit</h2>
    <div class="fields"><${Choice} label="Trail" value=${trail} options=${TRAILS} onChange=${(name) => {
      setTrail(name);
      setBefore(null);
    }} />
      ${value && html`<span class="quiet">${count(value.newest.sequence)} records; verify the chain with <code>radrelay audit verify</code></span>`}<button onClick=${reload}>Refresh</button></div>
    <${Failure} error=${error} again=${reload} /><${Loading} when=${loading && !value} />
    ${records.length > 0 && html`<${Scrolling} label="Audit records" tall=${true}><table><thead><tr><th scope="col" class="number">No.</th><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">About</th></tr></thead>
      <tbody>${records.map((each) => html`<tr key=${each.sequence}><td class="number">${each.sequence}</td><td>${moment(each.at)}</td><td>${each.actor}</td><td>${each.action}${each.reason ? ` (${each.reason})` : ""}</td>
        <td>${each.report_id ? html`<a href=${`/reports/${each.report_id}`}>report</a>` : each.batch_id ? html`<a href=${`/batches/${each.batch_id}`}>batch</a>` : ""}</td></tr>`)}</tbody></table><//>`}
    ${value && value.last > PAGE && html`<button onClick=${() => setBefore(value.last - PAGE)}>Older records</button>`}
  </section>`;
}

/** One batch, live: every file, what became of it, and why some were refused. */

import { useEffect, useState } from "preact/hooks";

import { cancelBatch, getBatch, listFiles, retryBatch, watchBatch } from "../api/ingest.js";
import { fetchPages } from "../api/pages.js";
import { searchReports } from "../api/reports.js";
import { html } from "../html.js";
import { LiveMark, StatusBadge } from "../parts/badges.js";
import { Choice } from "../parts/choice.js";
import { Failure, Loading, useAction, useFetched } from "../parts/loading.js";
import { count, moment, share } from "../parts/numbers.js";
import { Scrolling } from "../parts/scrolling.js";
import { Tile } from "../parts/tile.js";
import { BATCH_STATES, FILE_STATUSES, reasonWords, URGENCIES } from "../parts/words.js";
import { BatchProgress } from "./batch_progress.js";
import { cancelSending, isUnderWay, sendings } from "./sending.js";

export function BatchPage({ id }) {
  const first = useFetched(() => getBatch(id), [id]);
  const [followed, setFollowed] = useState(null);
  const [live, setLive] = useState(false);
  const [watch, setWatch] = useState(0);
  useEffect(() => {
    const stop = watchBatch(id, (name, batch) => {
      setFollowed(batch);
      if (name === "done") stop();
    }, setLive);
    return stop;
  }, [id, watch]);
  const batch = followed?.batch_id === id ? followed : first.value;
  const [act, busy, error] = useAction(async (action) => {
    await action();
    setWatch((times) => times + 1);
  });
  if (!batch) return html`<section><${Failure} error=${first.error} again=${first.reload} /><${Loading} when=${first.loading} /></section>`;

  const isSent = sendings.value.some((each) => each.batchId === id && isUnderWay(each.state));
  const { counts } = batch;
  const ended = counts.reported + counts.failed + counts.rejected + counts.cancelled;
  return html`<section>
    <p class="crumb"><a href="/batches">Uploads</a></p>
    <div class="title"><h1>${batch.label || "Batch without a label"}</h1>
      ${batch.state === "done" ? html`<span class="live done">Done</span>` : html`<${LiveMark} live=${live} />`}</div>
    <p class="quiet">Sent ${moment(batch.created_at)} · ${URGENCIES[batch.priority]} · ${BATCH_STATES[batch.state]}</p>
    <div class="tiles">
      <${Tile} name="Files" value=${count(counts.received)} />
      <${Tile} name="Finished" value=${share(counts.received ? ended / counts.received : 0)} />
      <${Tile} name="Reported" value=${count(counts.reported)} />
      <${Tile} name="Failed" value=${count(counts.failed)} />
      <${Tile} name="Refused" value=${count(counts.rejected)} />
    </div>
    <${BatchProgress} counts=${counts} />
    <div class="actions">
      <${MostUrgent} id=${id} reported=${counts.reported} />
      <a class="button" href=${`/?batch_id=${id}`}>Worklist of this batch</a>
      ${(counts.failed > 0 || counts.cancelled > 0) && html`<button disabled=${busy} onClick=${() => act(() => retryBatch(id))}>Try failed ones again</button>`}
      ${batch.state !== "done" && html`<button disabled=${busy} onClick=${() => act(() => (isSent ? cancelSending(id) : cancelBatch(id)))}>Cancel the rest</button>`}
    </div>
    <${Failure} error=${error} />
    <${Files} id=${id} counts=${counts} />
  </section>`;
}

function MostUrgent({ id, reported }) {
  const { value } = useFetched(async () => (reported ? searchReports({ batch_id: id }, null, 1) : null), [id, reported]);
  const report = value?.reports[0];
  return report ? html`<a class="button primary" href=${`/reports/${report.report_id}`}>Open the most urgent case</a>` : null;
}

function Files({ id, counts }) {
  const [pages, setPages] = useState(1);
  const [only, setOnly] = useState("");
  const key = Object.values(counts).join();
  const { value, error, reload } = useFetched(() => fetchPages((cursor) => listFiles(id, cursor), "files", pages), [id, pages, key]);
  const shown = (value?.items ?? []).filter(({ status }) => !only || status === only);
  return html`<h2>Files</h2>
    <${Failure} error=${error} again=${reload} />
    <${Choice} label="Show" value=${only} first="all" options=${FILE_STATUSES} onChange=${setOnly} />
    <${Scrolling} label="Files of the batch"><table>
      <thead><tr><th scope="col">File</th><th scope="col">State</th><th scope="col">Why</th><th scope="col">Report</th></tr></thead>
      <tbody>${shown.map((file) => html`<tr key=${file.name + file.instance_id}>
        <td class="path">${file.name}</td><td><${StatusBadge} status=${file.status} /></td>
        <td>${file.reason && html`${reasonWords(file.reason)} ${file.detail && html`<span class="fine">${file.detail}</span>`}`}</td>
        <td>${file.report_id && html`<a href=${`/reports/${file.report_id}`} aria-label=${`Report of ${file.name}`}>Open</a>`}</td>
      </tr>`)}</tbody>
    </table><//>
    ${value?.cursor && html`<button onClick=${() => setPages(pages + 1)}>More files</button>`}`;
}

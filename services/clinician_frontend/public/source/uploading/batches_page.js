/** Sending images, and the batches that were sent. */

import { useLocation } from "preact-iso/router";
import { useEffect, useRef, useState } from "preact/hooks";

import { listBatches } from "../api/ingest.js";
import { fetchPages } from "../api/pages.js";
import { html } from "../html.js";
import { Choice } from "../parts/choice.js";
import { Failure, Loading, useAction, useFetched } from "../parts/loading.js";
import { count, moment } from "../parts/numbers.js";
import { Scrolling } from "../parts/scrolling.js";
import { BATCH_STATES, URGENCIES } from "../parts/words.js";
import { BatchProgress } from "./batch_progress.js";
import { filesOfDrop, filesOfInput } from "./dropped_files.js";
import { sendBatch, sendings } from "./sending.js";

const REFRESH_MS = 4000;
const PRIORITIES = Object.fromEntries(Object.entries(URGENCIES).reverse());

export function BatchesPage() {
  const [pages, setPages] = useState(1);
  const { value, error, loading, reload } = useFetched(() => fetchPages(listBatches, "batches", pages), [sendings.value.length, pages]);
  const batches = value?.items ?? [];
  const moving = batches.some(({ state }) => state !== "done");
  useEffect(() => {
    const timer = moving ? setInterval(reload, REFRESH_MS) : null;
    return () => clearInterval(timer);
  }, [moving]);

  return html`<section>
    <h1>Uploads</h1>
    <${DropZone} />
    <h2>Batches</h2>
    <${Failure} error=${error} again=${reload} />
    <${Loading} when=${loading && !value} />
    ${value && batches.length === 0 && html`<p class="quiet">Nothing was sent yet.</p>`}
    ${batches.length > 0 && html`<${BatchTable} batches=${batches} />`}
    ${value?.cursor && html`<button onClick=${() => setPages(pages + 1)}>Older batches</button>`}
  </section>`;
}

function BatchTable({ batches }) {
  return html`<${Scrolling} label="Batches"><table>
    <thead><tr><th scope="col">Batch</th><th scope="col">Sent</th><th scope="col">Priority</th><th scope="col">State</th>
      <th scope="col" class="wide">Progress</th><th scope="col" class="number">Files</th></tr></thead>
    <tbody>${batches.map((batch) => html`<tr key=${batch.batch_id}>
      <td><a href=${`/batches/${batch.batch_id}`}>${batch.label || "Without a label"}</a></td>
      <td>${moment(batch.created_at)}</td><td>${URGENCIES[batch.priority]}</td><td>${BATCH_STATES[batch.state]}</td>
      <td><${BatchProgress} counts=${batch.counts} /></td><td class="number">${count(batch.counts.received)}</td>
    </tr>`)}</tbody>
  </table><//>`;
}

function DropZone() {
  const [label, setLabel] = useState("");
  const [priority, setPriority] = useState("routine");
  const [over, setOver] = useState(false);
  const { route } = useLocation();
  const chooser = useRef(null);
  const folder = useRef(null);
  const [take, busy, error] = useAction(async (files) => {
    if (files.length === 0) throw new Error("There are no files in what you chose.");
    const id = await sendBatch(files, { label, priority });
    setLabel("");
    route(`/batches/${id}`);
  });

  const onDrop = (event) => {
    event.preventDefault();
    setOver(false);
    filesOfDrop(event.dataTransfer).then(take);
  };
  const onChoice = (event) => {
    take(filesOfInput(event.target));
    event.target.value = "";
  };
  const hover = (is) => (event) => {
    event.preventDefault();
    setOver(is);
  };
  return html`<div class=${`drop ${over ? "over" : ""}`} onDragOver=${hover(true)} onDragLeave=${hover(false)} onDrop=${onDrop}>
    <p class="large">Drop DICOM files, folders or ZIP archives here</p>
    <div class="actions">
      <button class="primary" disabled=${busy} onClick=${() => chooser.current.click()}>Choose files</button>
      <button disabled=${busy} onClick=${() => folder.current.click()}>Choose a folder</button>
      <input ref=${chooser} type="file" multiple hidden aria-label="Files" onChange=${onChoice} />
      <input ref=${folder} type="file" webkitdirectory hidden aria-label="A folder" onChange=${onChoice} />
    </div>
    <div class="fields">
      <label>Label (without a patient's name) <input maxlength="200" value=${label} onInput=${(event) => setLabel(event.target.value)} autocomplete="off" /></label>
      <${Choice} label="Priority" value=${priority} options=${PRIORITIES} onChange=${setPriority} />
    </div>
    <${Failure} error=${error} />
  </div>`;
}

/** Files that were refused and are kept for a time. */

import { useState } from "preact/hooks";

import { getRejectedContent, listRejected, resubmitRejected } from "../api/ingest.js";
import { html } from "../html.js";
import { Failure, Loading, useAction, useFetched } from "../parts/loading.js";
import { fileSize, moment } from "../parts/numbers.js";
import { saveAs } from "../parts/saving.js";
import { Scrolling } from "../parts/scrolling.js";
import { reasonWords } from "../parts/words.js";

export function RejectedFiles() {
  const { value, error, loading, reload } = useFetched(() => listRejected(), []);
  const [said, setSaid] = useState("");
  const [save, , saveError] = useAction(async (id) => saveAs(await getRejectedContent(id), `${id}.bin`));
  const [again, busy, againError] = useAction(async (id) => {
    const { accepted, rejected } = await resubmitRejected(id);
    setSaid(accepted ? "It is accepted now." : `It is refused again: ${reasonWords(rejected.reason)}`);
    await reload();
  });
  const files = value?.rejected_files ?? [];
  return html`<section class="box"><h2>Refused files</h2><${Failure} error=${error ?? saveError ?? againError} again=${error && reload} /><${Loading} when=${loading && !value} />
    ${said && html`<p class="notice" role="status">${said}</p>`}
    ${value && files.length === 0 && html`<p class="quiet">None is kept.</p>`}
    ${files.length > 0 && html`<${Scrolling} label="Refused files"><table><thead><tr><th scope="col">File</th><th scope="col">Sent by</th><th scope="col">Why</th><th scope="col" class="number">Size</th><th scope="col">Kept until</th><th scope="col">Do</th></tr></thead>
      <tbody>${files.map((file) => html`<tr key=${file.rejected_id}><td class="path">${file.name}</td><td>${file.owner_id}</td><td>${reasonWords(file.reason)} <span class="fine">${file.detail}</span></td>
        <td class="number">${fileSize(file.size_bytes)}</td><td>${moment(file.kept_until)}</td>
        <td class="actions"><button onClick=${() => save(file.rejected_id)} aria-label=${`Download ${file.name}`}>Download</button><button disabled=${busy} onClick=${() => again(file.rejected_id)} aria-label=${`Check ${file.name} again`}>Check again</button></td></tr>`)}</tbody></table><//>`}
    ${value?.next_cursor && html`<p class="fine">Only the newest 50 are shown.</p>`}
  </section>`;
}

/** The report to print and for other systems, and the DICOM file that was screened. */

import { getDocument, getFhir, getSource } from "../api/reports.js";
import { html } from "../html.js";
import { Failure, useAction } from "../parts/loading.js";
import { saveAs } from "../parts/saving.js";

export function Downloads({ report }) {
  const id = report.report_id;
  const [fetch, busy, error] = useAction(async (getter, suffix) => saveAs(await getter(id), `${id}.${suffix}`));
  return html`<section class="box" aria-labelledby="downloads"><h2 id="downloads">Downloads</h2>
    <div class="actions"><button disabled=${busy} onClick=${() => fetch(getDocument, "pdf")}>Report (PDF)</button>
      <button disabled=${busy} onClick=${() => fetch(getFhir, "fhir.json")}>Report (FHIR)</button>
      <button disabled=${busy} onClick=${() => fetch(getSource, "dcm")}>Image (DICOM)</button></div>
    <${Failure} error=${error} />
  </section>`;
}

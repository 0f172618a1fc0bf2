/** What the model says, and what its numbers mean. */

import { configuration } from "../configuration.js";
import { html } from "../html.js";
import { moment, probability } from "../parts/numbers.js";
import { URGENCIES, URGENCY_MEANS } from "../parts/words.js";

const SAME = 1e-9;

export function Explanation({ report }) {
  const { model, provenance } = report;
  const card = configuration().model_cards[model.name];
  return html`<section class="box" aria-labelledby="says"><h2 id="says">What the model says</h2>
    <dl class="facts">
      <dt>Probability</dt><dd><strong>${probability(report.probability)}</strong> <${Meter} value=${report.probability} label="Probability" /></dd>
      <dt>Confidence</dt><dd>${probability(report.confidence)} <span class="quiet">that what it says is right, whichever it says</span></dd>
      <dt>Urgency</dt><dd>${URGENCIES[report.urgency]} <span class="quiet">${URGENCY_MEANS[report.urgency]}</span></dd>
    </dl>
    <p>${calibrationWords(report)}</p>
    <details><summary>Model, image and times</summary><dl class="facts">
      <dt>Model</dt><dd>${model.name} ${model.version}: ${model.label}</dd>
      <dt>Digest</dt><dd><code>${model.digest}</code></dd>
      <dt>Meant for</dt><dd>${model.intended_use}</dd>
      ${card && html`<dt>Model card</dt><dd><a href=${card} target="_blank" rel="noopener">How it was made and how well it does</a></dd>`}
      ${provenance && html`<dt>Computed by</dt><dd>${provenance.runtime_detail || provenance.runtime}, Radrelay ${provenance.code_version}</dd>`}
      <dt>Image</dt><dd>${[report.modality, report.body_part].filter(Boolean).join(" ")}${provenance ? `, frame ${provenance.frame_number}` : ""}</dd>
      ${report.patient && html`<dt>Patient</dt><dd>${report.patient.patient_id}${report.patient.issuer ? ` (${report.patient.issuer})` : ""}</dd>`}
      <dt>SOP Instance</dt><dd><code>${report.sop_instance_uid}</code></dd>
      <dt>Received</dt><dd>${moment(report.received_at)}</dd><dt>Screened</dt><dd>${moment(report.completed_at)}</dd>
      <dt>Sent by</dt><dd>${report.owner_id}</dd>
    </dl></details>
  </section>`;
}

function Meter({ value, label }) {
  return html`<meter min="0" max="1" value=${value} aria-label=${label}>${probability(value)}</meter>`;
}

/** As far as the report can answer for it: as a share of 100 images only where calibration changed the score. */
function calibrationWords({ probability: value, probability_raw: raw, finding }) {
  if (Math.abs(value - raw) < SAME) {
    return `Calibration did not change the network's own score here, or the model has none: read it as a score that puts images in order, not as how often images like this show ${finding}.`;
  }
  const of = value < 0.005 ? "fewer than 1" : value > 0.995 ? "more than 99" : `about ${Math.round(100 * value)}`;
  return `Calibrated: of 100 images that the model scores like this, ${of} would show ${finding}, as far as they are like those it was calibrated on. The model card says how well that holds.`;
}

/** A review by two keys from the worklist: a verdict, then Enter. */

import { useEffect, useRef } from "preact/hooks";

import { getReport, putReview } from "../api/reports.js";
import { html } from "../html.js";
import { Failure, useAction } from "../parts/loading.js";
import { capitalised, LABELS, REVIEW_STATES, suspicion } from "../parts/words.js";
import { labelsOf } from "./reviews.js";

/** Asks once more, and calls `onEnd(saved)`. */
export function QuickReview({ report, verdict, onEnd }) {
  const button = useRef(null);
  const [label] = labelsOf(report, verdict);
  useEffect(() => button.current.focus(), [report.report_id, verdict]);
  const [save, busy, error] = useAction(async () => {
    const { report: now, etag } = await getReport(report.report_id);
    if (now.review_state !== report.review_state) throw new Error("Somebody else has reviewed this case since. Open it to see what they said.");
    await putReview(report.report_id, etag, { verdict, label });
    onEnd(true);
  });
  return html`<div class="notice" role="group" aria-label="Review" onKeyDown=${(event) => event.key === "Escape" && onEnd(false)}>
    <p>${capitalised(report.finding)}, ${suspicion(report)}: <strong>${REVIEW_STATES[verdict]}</strong> (${LABELS[label].toLowerCase()})?</p>
    <div class="actions"><button ref=${button} class="primary" disabled=${busy} onClick=${save}>Save (Enter)</button>
      <button onClick=${() => onEnd(false)}>Leave it (Escape)</button></div>
    <${Failure} error=${error} />
  </div>`;
}

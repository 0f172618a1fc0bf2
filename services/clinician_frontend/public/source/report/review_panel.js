/** A review in two keys: a verdict (a, d, u), then Enter. Every version is kept. Each report has a panel of its own. */

import { useEffect, useRef, useState } from "preact/hooks";

import { listReviews, putReview } from "../api/reports.js";
import { html } from "../html.js";
import { ReviewBadge } from "../parts/badges.js";
import { Choice } from "../parts/choice.js";
import { useKeys } from "../parts/keyboard.js";
import { Failure, useAction, useFetched } from "../parts/loading.js";
import { moment } from "../parts/numbers.js";
import { LABELS, REVIEW_STATES } from "../parts/words.js";
import { labelsOf } from "./reviews.js";

const VERDICTS = { agree: ["Agree", "a"], disagree: ["Disagree", "d"], unsure: ["Unsure", "u"] };

export function ReviewPanel({ report, etag, onSaved }) {
  const [verdict, setVerdict] = useState(null);
  const [label, setLabel] = useState(null);
  const [note, setNote] = useState("");
  const save = useRef(null);
  const history = useFetched(() => (report.review_state === "unreviewed" ? { reviews: [] } : listReviews(report.report_id)), [report.report_id, etag]);
  const choose = (what) => {
    setVerdict(what);
    setLabel(labelsOf(report, what)[0]);
  };
  useEffect(() => save.current?.focus(), [verdict]);
  const [put, busy, error] = useAction(async () => {
    await putReview(report.report_id, etag, { verdict, label, note: note.trim() || null });
    setVerdict(null);
    setNote("");
    await onSaved();
  });
  useKeys({ a: () => choose("agree"), d: () => choose("disagree"), u: () => choose("unsure"), Enter: () => verdict && !busy && put(), Escape: () => setVerdict(null) });

  return html`<section class="box" aria-labelledby="review"><h2 id="review">Your review <${ReviewBadge} state=${report.review_state} /></h2>
    <div class="actions">${Object.entries(VERDICTS).map(([name, [words, key]]) => html`<button aria-pressed=${verdict === name} onClick=${() => choose(name)}>${words} (${key})</button>`)}</div>
    ${verdict && html`<form class="review" onSubmit=${(event) => {
      event.preventDefault();
      put();
    }}>
      <${Choice} label="What you see" value=${label} onChange=${setLabel} options=${Object.fromEntries(labelsOf(report, verdict).map((each) => [each, LABELS[each]]))} />
      <label>Note <textarea rows="2" maxlength="4000" value=${note} onInput=${(event) => setNote(event.target.value)}></textarea></label>
      <div class="actions"><button ref=${save} class="primary" disabled=${busy}>Save (Enter)</button><button type="button" onClick=${() => setVerdict(null)}>Leave it (Escape)</button></div>
    </form>`}
    ${error?.status === 412
      ? html`<p class="notice bad" role="alert">Somebody else reviewed this case meanwhile. <button onClick=${onSaved}>See what they said</button></p>`
      : html`<${Failure} error=${error} />`}
    <${Failure} error=${history.error} again=${history.reload} />
    ${history.value?.reviews.length > 0 && html`<ol class="history">${history.value.reviews.map((each) => html`<li key=${each.version}>
      <strong>${REVIEW_STATES[each.verdict]}</strong> by ${each.reviewer}, ${moment(each.reviewed_at)}<br /><span class="quiet">${LABELS[each.label]}</span>
      ${each.note && html`<blockquote>${each.note}</blockquote>`}</li>`)}</ol>`}
  </section>`;
}

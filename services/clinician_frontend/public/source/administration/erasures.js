/** Having a patient or a study erased. */

import { useState } from "preact/hooks";

import { getErasure, requestErasure } from "../api/reports.js";
import { html } from "../html.js";
import { Choice } from "../parts/choice.js";
import { Confirmation } from "../parts/confirmation.js";
import { Failure, useAction } from "../parts/loading.js";
import { moment } from "../parts/numbers.js";

const KINDS = { patient: "A patient", study: "A study" };
const IDENTIFIERS = { patient: ["patient_id", "Patient ID"], study: ["study_instance_uid", "Study Instance UID"] };
const REASONS = { patient_request: "The patient asks for it", mistake: "It was sent by mistake" };

export function Erasures() {
  const [kind, setKind] = useState("study");
  const [reason, setReason] = useState("patient_request");
  const [which, setWhich] = useState("");
  const [asked, setAsked] = useState([]);
  const [question, ask] = useState(null);
  const [field, name] = IDENTIFIERS[kind];
  const [erase, busy, error] = useAction(async () => {
    const { erasures } = await requestErasure({ kind, [field]: which.trim(), reason });
    setAsked([...erasures, ...asked]);
    setWhich("");
  });
  const [look] = useAction(async () => setAsked(await Promise.all(asked.map(({ erasure_id }) => getErasure(erasure_id)))));
  return html`<section class="box"><h2>Erase</h2>
    <p class="quiet">Removes images, reports, pictures and reviews for good, whoever sent them. It cannot be taken back.</p>
    <form class="fields" onSubmit=${(event) => {
      event.preventDefault();
      ask({ title: `Erase ${KINDS[kind].toLowerCase()} for good?`, text: `${name}: ${which}`, no: "Keep it", yes: "Erase for good", then: erase });
    }}>
      <${Choice} label="What" value=${kind} options=${KINDS} onChange=${setKind} />
      <label>${name} <input required value=${which} maxlength="64" autocomplete="off" onInput=${(event) => setWhich(event.target.value)} /></label>
      <${Choice} label="Why" value=${reason} options=${REASONS} onChange=${setReason} />
      <button disabled=${busy}>Erase …</button>
    </form>
    <${Confirmation} question=${question} />
    <${Failure} error=${error} />
    ${asked.length > 0 && html`<ul>${asked.map((each) => html`<li>Asked for ${moment(each.requested_at)}: ${each.state === "done" ? `done, ${each.reports} reports` : "being done"}</li>`)}</ul><button onClick=${look}>See how far it is</button>`}
  </section>`;
}

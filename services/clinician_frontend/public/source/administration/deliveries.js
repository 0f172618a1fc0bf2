/** What was on its way to a destination of late. */

import { listDeliveries, redeliver } from "../api/destinations.js";
import { html } from "../html.js";
import { Failure, Loading, useAction, useFetched } from "../parts/loading.js";
import { moment } from "../parts/numbers.js";
import { Scrolling } from "../parts/scrolling.js";
import { DELIVERY_STATES, eventWords, reasonWords } from "../parts/words.js";

const CLASSES = { pending: "processing", delivered: "reported", failed: "failed" };

/** It is asked for again whenever the destination was. */
export function Deliveries({ destination, reload }) {
  const { destination_id, name, paused } = destination;
  const { value, error, loading, reload: reloadList } = useFetched(() => listDeliveries(destination_id), [destination]);
  const [again, busy, againError] = useAction(async (eventId) => {
    await redeliver(destination_id, eventId);
    await reload();
  });
  const deliveries = value?.deliveries ?? [];
  return html`<div><h3>Deliveries to ${name}</h3>
    <${Failure} error=${error ?? againError} again=${error && reloadList} /><${Loading} when=${loading && !value} />
    ${value && deliveries.length === 0 && html`<p class="quiet">Nothing was sent yet.</p>`}
    ${deliveries.length > 0 && html`<${Scrolling} label=${`Deliveries to ${name}`} tall=${true}><table><thead><tr><th scope="col">Since</th><th scope="col">Event</th><th scope="col">State</th><th scope="col" class="number">Attempts</th><th scope="col">Last answer</th><th scope="col">Next attempt</th><th scope="col">Do</th></tr></thead>
      <tbody>${deliveries.map((each) => html`<tr key=${each.event_id}><td>${moment(each.created_at)}</td><td>${eventWords(each.event_type)}</td>
        <td><span class=${`badge status-${CLASSES[each.state]}`}>${DELIVERY_STATES[each.state] ?? each.state}</span></td><td class="number">${each.attempts}</td>
        <td>${each.last_status ?? (each.last_reason ? reasonWords(each.last_reason) : "–")}</td><td>${each.due_at ? moment(each.due_at) : "–"}</td>
        <td>${each.state === "failed" && html`<button disabled=${busy || paused} onClick=${() => again(each.event_id)} aria-label=${`Send the event of ${moment(each.created_at)} again`}>Send again</button>`}</td></tr>`)}</tbody></table><//>`}
    ${value?.next_cursor && html`<p class="fine">Only the newest 50 are shown.</p>`}
    <button onClick=${reload}>Refresh</button>
  </div>`;
}

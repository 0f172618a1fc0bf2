/** Places that the tenant's results are sent to. */

import { useEffect, useState } from "preact/hooks";

import { changeDestination, createDestination, listDestinations, removeDestination, rotateSecret, testDestination } from "../api/destinations.js";
import { html } from "../html.js";
import { Confirmation } from "../parts/confirmation.js";
import { Failure, Loading, useAction, useFetched } from "../parts/loading.js";
import { count, moment } from "../parts/numbers.js";
import { Scrolling } from "../parts/scrolling.js";
import { TOPICS } from "../parts/words.js";
import { Deliveries } from "./deliveries.js";
import { DestinationForm } from "./destination_form.js";

const REFRESH_MS = 3000;

export function Destinations() {
  const { value, error, loading, reload } = useFetched(listDestinations, []);
  const [secret, setSecret] = useState(null);
  const [shown, setShown] = useState(null);
  const [changing, setChanging] = useState(null);
  const [question, ask] = useState(null);
  const [act, busy, actError] = useAction(async (action) => {
    try {
      return await action();
    } finally {
      await reload();
    }
  });
  const destinations = value?.destinations ?? [];
  const moving = destinations.some(({ pending, paused }) => pending > 0 && !paused);
  useEffect(() => {
    const timer = moving ? setInterval(reload, REFRESH_MS) : null;
    return () => clearInterval(timer);
  }, [moving]);

  const rotate = (destination) => ask({
    title: `A new secret for ${destination.name}?`,
    text: "Events are signed with it at once. Until the destination knows it, it should refuse them; they are then sent again.",
    no: "Keep the old one",
    yes: "Make a new secret",
    then: () => act(async () => setSecret(await rotateSecret(destination))),
  });
  const remove = (destination) => ask({
    title: `Remove ${destination.name}?`,
    text: `What is on its way there is not sent any more: ${count(destination.pending)} events wait.`,
    no: "Keep it",
    yes: "Remove it",
    then: () => act(() => removeDestination(destination)),
  });
  const test = (destination) => act(async () => {
    await testDestination(destination.destination_id);
    setShown(destination.destination_id);
  });

  return html`<section class="box" aria-labelledby="destinations"><h2 id="destinations">Destinations</h2>
    <p class="quiet">Systems of yours that are told of reports by signed webhooks. No picture and no patient's name is sent.</p>
    <${Failure} error=${error ?? actError} again=${error && reload} /><${Loading} when=${loading && !value} />
    ${secret && html`<${Secret} destination=${secret} done=${() => setSecret(null)} />`}
    ${value && destinations.length === 0 && html`<p class="quiet">There is none yet.</p>`}
    ${destinations.length > 0 && html`<${Scrolling} label="All destinations"><table>
      <thead><tr><th scope="col">Destination</th><th scope="col">Told of</th><th scope="col">State</th><th scope="col">Last delivery</th><th scope="col" class="number">Waiting</th><th scope="col" class="number">Given up</th><th scope="col">Do</th></tr></thead>
      <tbody>${destinations.map((each) => html`<tr key=${each.destination_id}>
        <th scope="row">${each.name}<br /><code>${each.url}</code></th><td>${each.event_types.map((topic) => TOPICS[topic] ?? topic).join(", ")}</td>
        <td><${StateBadge} destination=${each} /></td><td>${each.last_delivered_at ? moment(each.last_delivered_at) : "–"}</td>
        <td class="number">${atMost(each.pending)}</td><td class="number">${atMost(each.failed)}</td>
        <td><div class="actions"><button disabled=${busy} onClick=${() => act(() => changeDestination(each, { paused: !each.paused }))} aria-label=${`${each.paused ? "Resume" : "Pause"} ${each.name}`}>${each.paused ? "Resume" : "Pause"}</button>
          <button disabled=${busy || each.paused} onClick=${() => test(each)} aria-label=${`Send a test to ${each.name}`}>Send test</button>
          <button aria-expanded=${String(shown === each.destination_id)} onClick=${() => setShown(shown === each.destination_id ? null : each.destination_id)} aria-label=${`Deliveries to ${each.name}`}>Deliveries</button>
          <button aria-expanded=${String(changing === each.destination_id)} onClick=${() => setChanging(changing === each.destination_id ? null : each.destination_id)} aria-label=${`Change ${each.name}`}>Change</button>
          <button disabled=${busy} onClick=${() => rotate(each)} aria-label=${`New secret for ${each.name}`}>New secret …</button>
          <button disabled=${busy} onClick=${() => remove(each)} aria-label=${`Remove ${each.name}`}>Remove …</button></div></td>
      </tr>`)}</tbody></table><//>`}
    ${destinations.filter(({ destination_id }) => destination_id === shown).map((each) => html`<${Deliveries} key=${shown} destination=${each} reload=${reload} />`)}
    ${value && destinations.filter(({ destination_id }) => destination_id === changing).map((each) => html`<${DestinationForm} key=${changing} hosts=${value.allowed_hosts} destination=${each} leave=${() => setChanging(null)} save=${async (wanted) => {
      await changeDestination(each, wanted);
      setChanging(null);
      await reload();
    }} />`)}
    ${value && !changing && html`<${DestinationForm} hosts=${value.allowed_hosts} save=${async (wanted) => {
      setSecret(await createDestination(wanted));
      await reload();
    }} />`}
    <${Confirmation} question=${question} />
  </section>`;
}

function StateBadge({ destination: { paused, pause_reason, failing } }) {
  if (paused) return html`<span class="badge">${pause_reason === "gone" ? "Paused: it says it is gone" : "Paused"}</span>`;
  return failing ? html`<span class="badge status-failed">Failing</span>` : html`<span class="badge status-reported">Running</span>`;
}

/** What events are signed with, until somebody says that they have it. */
function Secret({ destination: { name, secret }, done }) {
  const [copied, setCopied] = useState(false);
  const [copy, , error] = useAction(async () => {
    await navigator.clipboard.writeText(secret);
    setCopied(true);
  });
  return html`<div class="notice warn" role="status"><p>What ${name} verifies signatures with. It is not shown again:</p><p><code>${secret}</code></p>
    <div class="actions"><button onClick=${copy}>${copied ? "Copied" : "Copy"}</button><button onClick=${done}>I have kept it</button></div>
    ${error && html`<p>It cannot be copied by a button here: mark it and copy it.</p>`}</div>`;
}

function atMost(number) {
  return number >= 1000 ? "1,000 or more" : count(number);
}

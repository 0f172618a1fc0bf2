/** Adding a destination, and changing one. */

import { useState } from "preact/hooks";

import { html } from "../html.js";
import { Failure, useAction } from "../parts/loading.js";
import { TOPICS } from "../parts/words.js";

/** Saves by `save(wanted)`; of one that is there already, `leave` goes without saving. */
export function DestinationForm({ hosts, destination = null, save, leave = null }) {
  const [name, setName] = useState(destination?.name ?? "");
  const [url, setUrl] = useState(destination?.url ?? "");
  const [topics, setTopics] = useState(destination?.event_types ?? Object.keys(TOPICS));
  const [submit, busy, error] = useAction(async () => {
    await save({ name: name.trim(), url: url.trim(), event_types: topics });
    if (destination) return;
    setName("");
    setUrl("");
  });
  if (hosts.length === 0) return html`<p class="fine">Whoever runs Radrelay has allowed no hosts for destinations yet.</p>`;
  return html`<form class="fields" aria-label=${destination ? `Change ${destination.name}` : "Add a destination"} onSubmit=${(event) => {
    event.preventDefault();
    submit();
  }}>
    <label>Name <input required maxlength="100" value=${name} autocomplete="off" onInput=${(event) => setName(event.target.value)} /></label>
    <label>Address <input required type="url" maxlength="1000" value=${url} placeholder=${`${hosts[0].replace(":*", "")}/…`} autocomplete="off" onInput=${(event) => setUrl(event.target.value)} /></label>
    <fieldset class="fields"><legend class="quiet">Told of</legend>${Object.entries(TOPICS).map(([topic, words]) => html`<label key=${topic}><input type="checkbox" checked=${topics.includes(topic)}
      onChange=${(event) => setTopics(event.target.checked ? [...topics, topic] : topics.filter((each) => each !== topic))} /> ${words}</label>`)}</fieldset>
    <button disabled=${busy || topics.length === 0}>${destination ? "Save" : "Add"}</button>
    ${leave && html`<button type="button" onClick=${leave}>Cancel</button>`}
    <p class="fine">Allowed hosts: ${hosts.join(", ")}</p>
    <${Failure} error=${error} />
  </form>`;
}

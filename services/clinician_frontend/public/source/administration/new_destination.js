/** Adding a destination. */

import { useState } from "preact/hooks";

import { createDestination } from "../api/destinations.js";
import { html } from "../html.js";
import { Failure, useAction } from "../parts/loading.js";
import { TOPICS } from "../parts/words.js";

export function NewDestination({ hosts, made }) {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [topics, setTopics] = useState(Object.keys(TOPICS));
  const [add, busy, error] = useAction(async () => {
    made(await createDestination({ name: name.trim(), url: url.trim(), event_types: topics }));
    setName("");
    setUrl("");
  });
  if (hosts.length === 0) return html`<p class="fine">Whoever runs Radrelay has allowed no hosts for destinations yet.</p>`;
  return html`<form class="fields" aria-label="Add a destination" onSubmit=${(event) => {
    event.preventDefault();
    add();
  }}>
    <label>Name <input required maxlength="100" value=${name} autocomplete="off" onInput=${(event) => setName(event.target.value)} /></label>
    <label>Address <input required type="url" maxlength="1000" value=${url} placeholder=${`${hosts[0].replace(":*", "")}/…`} autocomplete="off" onInput=${(event) => setUrl(event.target.value)} /></label>
    <fieldset class="fields"><legend class="quiet">Told of</legend>${Object.entries(TOPICS).map(([topic, words]) => html`<label key=${topic}><input type="checkbox" checked=${topics.includes(topic)}
      onChange=${(event) => setTopics(event.target.checked ? [...topics, topic] : topics.filter((each) => each !== topic))} /> ${words}</label>`)}</fieldset>
    <button disabled=${busy || topics.length === 0}>Add</button>
    <p class="fine">Allowed hosts: ${hosts.join(", ")}</p>
    <${Failure} error=${error} />
  </form>`;
}

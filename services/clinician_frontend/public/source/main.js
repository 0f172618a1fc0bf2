/** The start of the page. */

import { render } from "preact";

import { Application } from "./application.js";
import { applyTheme } from "./appearance/theme.js";
import { loadConfiguration } from "./configuration.js";
import { html } from "./html.js";
import { forgetFrames } from "./report/frames.js";
import { watchIdleness } from "./signing_in/idle.js";
import { account, startSession } from "./signing_in/session.js";

const root = document.getElementById("application");

applyTheme();
try {
  await loadConfiguration();
  await startSession();
  watchIdleness();
  account.subscribe((who) => who === null && forgetFrames());
  root.replaceChildren();
  render(html`<${Application} />`, root);
} catch (error) {
  root.replaceChildren();
  render(
    html`<main class="door">
      <h1>Radrelay cannot start</h1>
      <p class="notice bad" role="alert">${error.message}</p>
      <button class="primary" onClick=${() => location.assign("/")}>Try again</button>
    </main>`,
    root,
  );
}

/** The frame around every page: who is signed in, where one can go, and what is shown at which address. */

import { LocationProvider, Route, Router, useLocation } from "preact-iso/router";

import { AdministrationPage } from "./administration/page.js";
import { AnalyticsPage } from "./analytics/page.js";
import { chooseTheme, chosenTheme, THEMES } from "./appearance/theme.js";
import { html } from "./html.js";
import { Choice } from "./parts/choice.js";
import { IdleWarning, SignInPage } from "./signing_in/pages.js";
import { account, isAdministrator, signOut } from "./signing_in/session.js";
import { ReportPage } from "./report/page.js";
import { BatchPage } from "./uploading/batch_page.js";
import { BatchesPage } from "./uploading/batches_page.js";
import { SendingBar } from "./uploading/sending_bar.js";
import { WorklistPage } from "./worklist/page.js";

/** Everything. */
export function Application() {
  if (account.value === null) return html`<${SignInPage} />`;
  return html`<${LocationProvider}>
    <a class="skip" href="#content">Skip to the content</a>
    <${Header} />
    <${SendingBar} />
    <main id="content" tabindex="-1">
      <${Router}>
        <${Route} path="/" component=${WorklistPage} />
        <${Route} path="/reports/:id" component=${ReportPage} />
        <${Route} path="/batches" component=${BatchesPage} />
        <${Route} path="/batches/:id" component=${BatchPage} />
        <${Route} path="/analytics" component=${AnalyticsPage} />
        <${Route} path="/administration" component=${AdministrationPage} />
        <${Route} default component=${NotFound} />
      <//>
    </main>
    <footer>Radrelay is no medical device. A model that is trained on synthetic phantoms is for demonstration and not for clinical use.</footer>
    <${IdleWarning} />
  <//>`;
}

function Header() {
  const { path } = useLocation();
  const link = (address, words) => {
    const here = address === "/" ? path === "/" || path.startsWith("/reports") : path.startsWith(address);
    return html`<a href=${address} aria-current=${here ? "page" : undefined}>${words}</a>`;
  };
  return html`<header class="top">
    <a class="brand" href="/"><img src="/icon.svg" alt="" width="24" height="24" />Radrelay</a>
    <nav aria-label="Pages">
      ${link("/", "Worklist")} ${link("/batches", "Uploads")} ${link("/analytics", "Analytics")}
      ${isAdministrator() && link("/administration", "Administration")}
    </nav>
    <div class="who">
      <${Choice} label="Theme" quiet=${true} value=${chosenTheme.value} options=${THEMES} onChange=${chooseTheme} />
      <span title=${`Tenant ${account.value.tenant}`}>${account.value.user} · ${account.value.tenant}</span>
      <button onClick=${() => signOut()}>Sign out</button>
    </div>
  </header>`;
}

function NotFound() {
  return html`<section><h1>There is no such page</h1><p><a href="/">Go to the worklist</a></p></section>`;
}

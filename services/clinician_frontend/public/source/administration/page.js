/** What a tenant's administrator looks after. */

import { html } from "../html.js";
import { isAdministrator } from "../signing_in/session.js";
import { Activity } from "./activity.js";
import { AuditTrails } from "./audit.js";
import { Destinations } from "./destinations.js";
import { Erasures } from "./erasures.js";
import { Quota } from "./quota.js";
import { RejectedFiles } from "./rejected.js";
import { Retention } from "./retention.js";

export function AdministrationPage() {
  if (!isAdministrator()) return html`<section><h1>Administration</h1><p>That is for the tenant's administrators.</p></section>`;
  return html`<section><h1>Administration</h1><div class="grid"><${Quota} /><${Activity} /></div><${Destinations} /><${RejectedFiles} /><${Retention} /><${Erasures} /><${AuditTrails} /></section>`;
}

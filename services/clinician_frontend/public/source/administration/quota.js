/** What of the day's quotas is used. */

import { getQuota } from "../api/ingest.js";
import { html } from "../html.js";
import { Failure, Loading, useFetched } from "../parts/loading.js";
import { count, fileSize, moment } from "../parts/numbers.js";

export function Quota() {
  const { value, error, loading, reload } = useFetched(getQuota, []);
  const row = (name, { used, quota }, said) => html`<tr><th scope="row">${name}</th><td class="number">${said(used)}</td><td class="number">${said(quota)}</td>
    <td><meter min="0" max=${quota || 1} value=${used} aria-label=${`${name}: used`}>${said(used)}</meter></td></tr>`;
  return html`<section class="box"><h2>Quota of the day</h2><${Failure} error=${error} again=${reload} /><${Loading} when=${loading && !value} />
    ${value && html`<table><thead><tr><td></td><th scope="col" class="number">Used</th><th scope="col" class="number">Of</th><td></td></tr></thead><tbody>
      ${row("Bytes of the tenant", value.tenant_bytes, fileSize)}${row("Files of the tenant", value.tenant_files, count)}${row("Bytes of yours", value.user_bytes, fileSize)}
    </tbody></table><p class="fine">Begins anew ${moment(value.resets_at)}.</p>`}
  </section>`;
}

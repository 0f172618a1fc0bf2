/** Who sent how much, and how reviewers find it. */

import { lastDays } from "../analytics/period.js";
import { Breakdown } from "../analytics/tables.js";
import { getBreakdown } from "../api/dashboard.js";
import { html } from "../html.js";
import { Failure, Loading, useFetched } from "../parts/loading.js";

export function Activity() {
  const { value, error, loading, reload } = useFetched(() => getBreakdown({ scope: "tenant", ...lastDays(30) }, "clinician"), []);
  return html`<div><${Failure} error=${error} again=${reload} /><${Loading} when=${loading && !value} />${value && html`<${Breakdown} title="Users in the last 30 days" breakdown=${value} />`}</div>`;
}

/** The order of the worklist that was looked at last, so that one can go on to the next case from a report. */

let order = [];

/** Keep the order of the reports. */
export function remember(reportIds) {
  order = reportIds;
}

/** The reports before and after one. */
export function neighboursOf(reportId) {
  const place = order.indexOf(reportId);
  return { previous: place > 0 ? order[place - 1] : null, next: place >= 0 ? (order[place + 1] ?? null) : null };
}

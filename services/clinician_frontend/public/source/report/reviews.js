/** What a verdict says in the API's terms. */

/** The labels that go with a verdict on a report, the most usual one first. */
export function labelsOf(report, verdict) {
  const said = report.positive ? "finding_present" : "finding_absent";
  const opposite = report.positive ? ["finding_absent", "other_finding"] : ["finding_present", "other_finding"];
  if (verdict === "agree") return [said];
  return verdict === "disagree" ? [...opposite, "not_assessable"] : ["not_assessable", "finding_present", "finding_absent", "other_finding"];
}

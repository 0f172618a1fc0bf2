/** Periods of whole days, and when such a day begins in the tenant's time zone. */

export const RANGES = { 7: "7 days", 30: "30 days", 90: "90 days", 365: "A year" };
const DAY_MS = 86_400_000;

/** `{first, last}` as ISO days, `last` today in a time zone, so many days long. */
export function lastDays(days, timeZone) {
  const last = dayOf(new Date(), timeZone);
  return { first: addDays(last, 1 - days), last };
}

function dayOf(moment, timeZone) {
  return new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" }).format(moment);
}

/** An ISO day some days later. */
export function addDays(day, days) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** As many days just before a period. */
export function periodBefore({ first, last }) {
  const days = (Date.parse(last) - Date.parse(first)) / DAY_MS + 1;
  return { first: addDays(first, -days), last: addDays(first, -1) };
}

/** The moment at which a clock in a time zone shows `local`, `YYYY-MM-DDTHH:MM:SS`. */
export function momentOf(local, timeZone) {
  const wanted = Date.parse(`${local}Z`);
  let at = wanted;
  for (let turn = 0; turn < 2; turn += 1) at = wanted - offsetMs(at, timeZone); // twice, for the days on which clocks change
  return new Date(at);
}

/** When the step of a trend that begins at `start` ends, in the same form. */
export function endOfStep(start, step) {
  const at = new Date(`${start}Z`);
  if (step === "hour") at.setUTCHours(at.getUTCHours() + 1);
  else if (step === "month") at.setUTCMonth(at.getUTCMonth() + 1);
  else at.setUTCDate(at.getUTCDate() + (step === "week" ? 7 : 1));
  return at.toISOString().slice(0, 19);
}

/** How long the steps of a trend over so many days are. */
export function stepOf({ first, last }) {
  const days = (Date.parse(last) - Date.parse(first)) / DAY_MS + 1;
  if (days <= 2) return "hour";
  return days <= 92 ? "day" : days <= 400 ? "week" : "month";
}

function offsetMs(moment, timeZone) {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  }).formatToParts(moment);
  const get = (type) => parts.find((part) => part.type === type).value;
  return Date.parse(`${get("year")}-${get("month")}-${get("day")}T${get("hour")}:${get("minute")}:${get("second")}Z`) - moment;
}

/** Numbers and times as people read them. */

const SIZES = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes. */
export function fileSize(bytes) {
  const step = Math.min(SIZES.length - 1, bytes > 0 ? Math.floor(Math.log2(bytes) / 10) : 0);
  const value = bytes / 1024 ** step;
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${SIZES[step]}`;
}

/** A share from 0 to 1 in per cent. */
export function share(value, digits = 0) {
  return value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)}%`;
}

/** A probability in per cent, never 0% or 100%, which no model can know. */
export function probability(value) {
  if (value < 0.001) return "less than 0.1%";
  return value > 0.999 ? "more than 99.9%" : share(value, 1);
}

/** A whole number with its thousands apart. */
export function count(value) {
  return value === null || value === undefined ? "–" : value.toLocaleString("en");
}

/** A moment in the reader's time zone. */
export function moment(iso) {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** For how long something has waited. */
export function age(iso, now = Date.now()) {
  const minutes = Math.max(0, Math.round((now - new Date(iso)) / 60000));
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}

/** A length of time in seconds. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 90) return `${seconds.toFixed(1)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

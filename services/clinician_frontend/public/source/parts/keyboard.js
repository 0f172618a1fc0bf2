/** Keys that do something on a page. */

import { useLayoutEffect, useRef } from "preact/hooks";

const KNOBS = ["range", "checkbox"];

/**
 * Call the function that `keys` has for a key, unless somebody is typing or a dialog is open. Escape leaves a field, so
 * that the keys work again.
 */
export function useKeys(keys) {
  const latest = useRef(keys);
  latest.current = keys;
  // With what is shown, and not after it: a key that is pressed at once counts.
  useLayoutEffect(() => {
    const onKey = (event) => {
      const field = event.target.closest?.("input, select, textarea");
      const isKnob = KNOBS.includes(field?.type) && !event.key.startsWith("Arrow");
      if (field && event.key === "Escape") field.blur();
      const typing = field && !isKnob;
      const onControl = event.key === "Enter" && event.target.closest?.("a, button, summary");
      if (event.ctrlKey || event.metaKey || event.altKey || typing || onControl || document.querySelector("dialog[open]")) return;
      const act = latest.current[event.key];
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

/** Light, dark and the dim theme of a reading room. */

import { signal } from "@preact/signals";

const KEY = "radrelay.theme";
export const THEMES = { system: "As the system", light: "Light", dark: "Dark", dim: "Reading room" };

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

/** What was chosen. */
export const chosenTheme = signal(localStorage.getItem(KEY) ?? "system");
/** What is shown: `light`, `dark` or `dim`. */
export const theme = signal("light");

/** Take another theme, here and at the next visit. */
export function chooseTheme(name) {
  localStorage.setItem(KEY, name);
  chosenTheme.value = name;
  applyTheme();
}

/** Show the page in the theme that was chosen. */
export function applyTheme() {
  const system = systemIsDark.matches ? "dark" : "light";
  theme.value = chosenTheme.value === "system" ? system : chosenTheme.value;
  document.documentElement.dataset.theme = theme.value;
}

systemIsDark.addEventListener("change", applyTheme);

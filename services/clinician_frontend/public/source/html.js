/** Templates without a build step: `html` makes Preact elements, and text in them is always text, never markup. */

import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);

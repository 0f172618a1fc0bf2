/** Fetching what a page shows, and saying so while it comes and where it does not. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";

/**
 * `{value, error, loading, reload}` of an asynchronous function, called when `inputs` change. An answer that comes after
 * a later question is not looked at; a value stays while it is asked for again.
 */
export function useFetched(fetcher, inputs) {
  const [state, setState] = useState({ value: null, error: null, loading: true });
  const latest = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++latest.current;
    setState((before) => ({ ...before, loading: true }));
    try {
      const value = await fetcher();
      if (mine === latest.current) setState({ value, error: null, loading: false });
    } catch (error) {
      if (mine === latest.current) setState((before) => ({ ...before, error, loading: false }));
    }
  }, inputs);
  useEffect(() => {
    reload();
    return () => (latest.current += 1);
  }, [reload]);
  return { ...state, reload };
}

/** What went wrong, and a way to try again. */
export function Failure({ error, again }) {
  if (!error) return null;
  return html`<p class="notice bad" role="alert">${error.message} ${again && html`<button onClick=${again}>Try again</button>`}</p>`;
}

/** A word for as long as nothing is there yet. */
export function Loading({ when }) {
  return when ? html`<p class="quiet" role="status">Loading …</p>` : null;
}

/** Run something that a button asks for; returns `[run, busy, error]`. */
export function useAction(action) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const run = async (...parameters) => {
    setBusy(true);
    setError(null);
    try {
      return await action(...parameters);
    } catch (problem) {
      setError(problem);
      return undefined;
    } finally {
      setBusy(false);
    }
  };
  return [run, busy, error];
}

/** Lists that come in pages. */

/** `{items, cursor}` of the first pages of a list: `fetchPage(cursor)` gives one, its items under `name`. */
export async function fetchPages(fetchPage, name, pages) {
  const items = [];
  let cursor = null;
  for (let page = 0; page < pages; page += 1) {
    const answer = await fetchPage(cursor);
    items.push(...answer[name]);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  return { items, cursor };
}

/** `did you mean "expiration"?` for a near miss, else the list of what there is. */
export function suggestion(name: string, known: readonly string[], what = "fields"): string {
  const near = nearMiss(name, known);
  return near === undefined ? `its ${what} are ${known.join(", ")}` : `did you mean "${near}"?`;
}

/**
 * The name that was surely meant by one that does not exist.
 *
 * Strict, because among options that others add to, a wrong guess refuses a good one: another case or
 * punctuation, one letter too many or too few, letters that changed places, and in names of more than six
 * letters any two slips.
 */
export function nearMiss(name: string, known: readonly string[]): string | undefined {
  const flat = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const letters = (text: string) => [...text].sort().join("");
  const given = flat(name);
  const isNear = (wanted: string) => {
    if (given[0] !== wanted[0]) return false;
    if (wanted.length > 6) return distance(given, wanted) <= 2;
    if (given.length === wanted.length) return letters(given) === letters(wanted);
    return distance(given, wanted) === 1;
  };
  return known.find((field) => flat(field) === given) ?? known.find((field) => isNear(flat(field)));
}

/** Levenshtein distance: the number of single-letter edits between two names. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

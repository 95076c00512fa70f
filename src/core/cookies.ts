const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * The values of one cookie in a `Cookie` header (RFC 6265 section 5.4), in the order in which they stand there.
 *
 * The header is searched for the name and never parsed as a whole: fifty foreign cookies cost nothing.
 * A name can come several times (other paths, other domains, or an attacker on a subdomain), so all
 * are candidates, up to a limit that bounds the work.
 *
 * @param header the `Cookie` header, if there is one
 * @param name the cookie's name, case-sensitive
 * @param limit how many values are looked at
 */
export function findCookieValues(header: string | undefined, name: string, limit: number): string[] {
  const values: string[] = [];
  if (header === undefined) return values;
  for (let at = findCookie(header, name, 0); at !== -1 && values.length < limit; ) {
    const start = at + name.length + 1;
    const semicolon = header.indexOf(";", start);
    const end = semicolon === -1 ? header.length : semicolon;
    const value = header.slice(start, end).trim();
    // Quotes are no part of what was set (RFC 6265 section 4.1.1): some clients add them.
    const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
    values.push(isQuoted ? value.slice(1, -1) : value);
    // The rest of this pair is its value: nothing in it can begin another pair.
    at = findCookie(header, name, end);
  }
  return values;
}

/** Whether a `Cookie` header has a cookie of this name. */
export function hasCookie(header: string, name: string): boolean {
  return findCookie(header, name, 0) !== -1;
}

/** Where a pair of this name begins; -1 when none does. */
function findCookie(header: string, name: string, from: number): number {
  for (let at = header.indexOf(name, from); at !== -1; at = header.indexOf(name, at + 1)) {
    if (header.charCodeAt(at + name.length) !== EQUALS) continue;
    // Nothing but white space stands between a name and the last ";" or the beginning.
    let before = at - 1;
    while (header.charCodeAt(before) === SPACE || header.charCodeAt(before) === TAB) before--;
    if (before < 0 || header.charCodeAt(before) === SEMICOLON) return at;
  }
  return -1;
}

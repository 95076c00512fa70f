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
 * @param header the `Cookie` header
 * @param name the cookie's name, case-sensitive
 * @param limit how many values are looked at
 */
export function findCookieValues(header: string, name: string, limit: number): string[] {
  const values: string[] = [];
  for (let at = findCookie(header, name, 0); at !== -1 && values.length < limit; ) {
    const start = at + name.length + 1;
    const semicolon = header.indexOf(";", start);
    const end = semicolon === -1 ? header.length : semicolon;
    values.push(unquoted(header.slice(start, end).trim()));
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
    if (header.charCodeAt(at + name.length) === EQUALS && beginsPair(header, at)) return at;
  }
  return -1;
}

/** A value may stand in quotes, which are no part of what was set (RFC 6265 section 4.1.1): some clients add them. */
function unquoted(value: string): string {
  const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  return isQuoted ? value.slice(1, -1) : value;
}

/** Whether nothing but white space stands between this place and the last ";" or the beginning. */
function beginsPair(header: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0) {
    const code = header.charCodeAt(before);
    if (code === SEMICOLON) return true;
    if (code !== SPACE && code !== TAB) return false;
    before--;
  }
  return true;
}

/*
 * The plain forms of addresses, read and written without regular expressions: a new address costs a
 * fraction of a microsecond instead of several. Whatever is not in plain form is left to ipaddr.js.
 */

const DOT = 46;
const COLON = 58;

/** Four decimal parts below 256, without leading zeros: what a socket says of an IPv4 peer. */
export function isIpv4(text: string): boolean {
  if (text.length > 15) return false;
  let part = -1;
  let parts = 1;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === DOT) {
      if (part === -1) return false;
      part = -1;
      parts++;
      continue;
    }
    const digit = code - 48;
    if (digit < 0 || digit > 9 || part === 0) return false;
    part = part === -1 ? digit : part * 10 + digit;
    if (part > 255) return false;
  }
  return parts === 4 && part !== -1;
}

/**
 * The eight groups of an IPv6 address in hexadecimal, `::` included (RFC 4291 section 2.2, forms 1 and
 * 2); `undefined` for every other text, which may be an address in another form.
 */
export function readIpv6(text: string): number[] | undefined {
  if (text.length > 39) return undefined;
  const groups: number[] = [];
  let gap = -1;
  let digits = 0;
  let group = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === COLON) {
      if (digits > 0) groups.push(group);
      else if (index !== 0 || text.charCodeAt(1) !== COLON) return undefined;
      digits = 0;
      group = 0;
      if (text.charCodeAt(index + 1) !== COLON) continue;
      if (gap !== -1) return undefined;
      gap = groups.length;
      index++;
      continue;
    }
    const digit = hexDigit(code);
    if (digit === -1 || ++digits > 4) return undefined;
    group = group * 16 + digit;
  }
  if (digits > 0) groups.push(group);
  else if (gap !== groups.length) return undefined;
  if (gap === -1) return groups.length === 8 ? groups : undefined;
  // A gap stands for one group at least.
  return groups.length < 8 ? fillGap(groups, gap) : undefined;
}

function fillGap(groups: readonly number[], gap: number): number[] {
  const filled = [0, 0, 0, 0, 0, 0, 0, 0];
  const skipped = 8 - groups.length;
  for (let index = 0; index < groups.length; index++) {
    filled[index < gap ? index : index + skipped] = groups[index] ?? 0;
  }
  return filled;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Eight groups as RFC 5952 writes them: lower case, the first of the longest runs of zeros as `::`. */
export function ipv6Text(groups: readonly number[]): string {
  let start = -1;
  // A single zero is not shortened (section 4.2.2).
  let longest = 1;
  for (let index = 0, run = 0; index < 8; index++) {
    run = groups[index] === 0 ? run + 1 : 0;
    if (run > longest) {
      longest = run;
      start = index - run + 1;
    }
  }
  let text = "";
  for (let index = 0; index < 8; index++) {
    if (index === start) {
      text += "::";
      index += longest - 1;
      continue;
    }
    if (index > 0 && index !== start + longest) text += ":";
    text += (groups[index] ?? 0).toString(16);
  }
  return text;
}

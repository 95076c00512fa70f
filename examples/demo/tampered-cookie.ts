/** A request with the session cookie, and what came back. */
interface CookieTrial {
  /** The cookie as it was sent, with only its ends shown. */
  readonly cookie: string;
  readonly path: string;
  readonly status: number;
  readonly body: string;
}

/**
 * Asks the app who is signed in, once with a client's own cookie and once with a character of it
 * changed. A script cannot do this, because it cannot see the cookie.
 */
export async function tamperWithCookie(
  address: URL,
  cookieHeader: string,
): Promise<{ readonly honest: CookieTrial; readonly tampered: CookieTrial }> {
  const [, value = ""] = /(?:^|; )session_id=([^;]*)/.exec(cookieHeader) ?? [];
  return { honest: await ask(address, value), tampered: await ask(address, changeOneCharacter(value)) };
}

async function ask(address: URL, value: string): Promise<CookieTrial> {
  const answer = await fetch(address, { headers: { cookie: `session_id=${value}` } });
  return {
    cookie: `session_id=${value.slice(0, 6)}…${middle(value)}…`,
    path: address.pathname,
    status: answer.status,
    body: await answer.text(),
  };
}

function changeOneCharacter(value: string): string {
  const place = Math.floor(value.length / 2);
  const changed = value[place] === "A" ? "B" : "A";
  return value.slice(0, place) + changed + value.slice(place + 1);
}

/** Enough to see the changed character, too little to use the cookie. */
function middle(value: string): string {
  const place = Math.floor(value.length / 2);
  return value.slice(place - 3, place + 4);
}

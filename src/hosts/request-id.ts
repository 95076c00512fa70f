import { randomBytes } from "node:crypto";

/** Tells the requests of this process from those of all others. */
const PROCESS_ID = randomBytes(6).toString("base64url");
let count = 0;

/** An id for a request whose host gives none: for events and logs, not a secret. */
export function nextRequestId(): string {
  count += 1;
  return `${PROCESS_ID}-${count.toString(36)}`;
}

import type { ServerResponse } from "node:http";
import { isCorsField, joinVary } from "../../policy/head.js";

/** A call on the response that waits, of which only heads matter here. */
interface WaitingCall {
  readonly args: readonly unknown[];
}

/**
 * The fields of CORS, and `Vary`, that whoever answers CORS in the application has put on a response: with
 * `setHeader`, or with a head that waits. They hold for a refusal in its place as well.
 *
 * @returns names and values in turn
 */
export function corsFieldsOf(response: ServerResponse, calls: readonly WaitingCall[]): readonly string[] {
  const fields: string[] = [];
  const vary: string[] = [];
  const keep = (name: string, value: unknown) => {
    const lower = name.toLowerCase();
    if (lower === "vary") vary.push(String(value));
    else if (isCorsField(lower)) fields.push(name, String(value));
  };
  for (const name of response.getHeaderNames()) keep(name, response.getHeader(name));
  for (const head of calls[0]?.args ?? []) keepAll(head, keep);
  return vary.length === 0 ? fields : [...fields, "Vary", joinVary(vary)];
}

/** What is given to `writeHead`: an object, or a flat list of names and values. */
function keepAll(head: unknown, keep: (name: string, value: unknown) => void): void {
  if (typeof head !== "object" || head === null || head instanceof Uint8Array) return;
  if (!Array.isArray(head)) {
    for (const [name, value] of Object.entries(head)) keep(name, value);
    return;
  }
  for (let index = 0; index < head.length; index += 2) keep(String(head[index]), head[index + 1]);
}

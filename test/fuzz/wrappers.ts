import type { ServerResponse } from "node:http";

/** What must never reach a client, and what stands in its place. */
export const SECRET_WORD = "hunter2";
export const REDACTED = "*******";

/** The page that the hosts serve, in lines that compress well. */
export const PAGE = `a line of the page, ${SECRET_WORD}\n`.repeat(400);

/** Redacts what is written, as middleware does that puts functions of its own over those of the response. */
export function redactWrites(response: ServerResponse): void {
  const { write, end } = response;
  Object.assign(response, {
    write: (...args: unknown[]) => Reflect.apply(write, response, redacted(args)),
    end: (...args: unknown[]) => Reflect.apply(end, response, redacted(args)),
  });
}

function redacted([chunk, ...rest]: readonly unknown[]): readonly unknown[] {
  if (typeof chunk === "string") return [chunk.replaceAll(SECRET_WORD, REDACTED), ...rest];
  if (!(chunk instanceof Uint8Array)) return chunk === undefined ? [] : [chunk, ...rest];
  return [Buffer.from(Buffer.from(chunk).toString("latin1").replaceAll(SECRET_WORD, REDACTED), "latin1"), ...rest];
}

/** Counts heads, as middleware for response times does, in a `writeHead` of its own. */
export function countHeads(response: ServerResponse): void {
  const { writeHead } = response;
  let heads = 0;
  Object.assign(response, {
    writeHead: (...args: unknown[]) => {
      heads++;
      if (!response.headersSent) response.setHeader("X-Heads", String(heads));
      return Reflect.apply(writeHead, response, args);
    },
  });
}

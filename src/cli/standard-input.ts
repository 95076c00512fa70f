import { usageFailure } from "./failure.js";

// Nothing that these commands read is larger; a device or an endless pipe must not fill the memory.
const mostBytes = 1_048_576;

/**
 * All of standard input as text, without the line break at its end.
 *
 * @param what is read, for the message when there is nothing to read from: `the token`
 * @throws CommandFailure when standard input is a terminal: a secret would be shown while it is typed
 */
export async function readStandardInput(what: string, mend: string): Promise<string> {
  if (process.stdin.isTTY) throw usageFailure(`${what} is missing: ${mend}`);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > mostBytes) throw usageFailure(`${what} on standard input is longer than ${mostBytes} bytes`);
    chunks.push(bytes);
  }
  const text = withoutLineEnd(Buffer.concat(chunks).toString("utf8"));
  if (text === "") throw usageFailure(`${what} is missing, standard input is empty: ${mend}`);
  return text;
}

/** Editors and `echo` end a file with a line break that is no part of the secret. */
export function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

/** What a command reads from and writes to; `process` is one. */
export interface CommandIo {
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean | undefined };
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What the process returns to the shell. */
export const exitCodes = Object.freeze({
  ok: 0,
  /** The token was refused, or the command could not do its work. */
  failed: 1,
  /** The command line made no sense. */
  usage: 2,
});

/** A failure that the user can read and mend: printed as one line, without a stack trace. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";

  constructor(
    message: string,
    readonly exitCode: number = exitCodes.failed,
  ) {
    super(message);
  }
}

/** A command line that makes no sense as a whole, though each option alone does. */
export function usageFailure(message: string): CommandFailure {
  return new CommandFailure(message, exitCodes.usage);
}

// Nothing that these commands read is larger; a device or an endless pipe must not fill the memory.
const mostBytes = 1_048_576;

/**
 * All of standard input as text, without the line break at its end.
 *
 * @param what is read, for the message when there is nothing to read from: `the token`
 * @throws CommandFailure when standard input is a terminal: a secret would be shown while it is typed
 */
export async function readStandardInput({ stdin }: CommandIo, what: string, mend: string): Promise<string> {
  if (stdin.isTTY) throw usageFailure(`${what} is missing: ${mend}`);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
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

/**
 * A value as indented JSON that is safe to show in a terminal. JSON itself lets through the control
 * characters above ASCII, which some terminals obey, and those that turn the reading direction.
 */
export function printableJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return text.replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

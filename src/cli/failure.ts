import { InvalidArgumentError } from "commander";

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

/** The line to print for anything that was thrown, and the exit code. */
export function explain(error: unknown): { readonly message: string; readonly exitCode: number } {
  const message = error instanceof Error ? error.message : String(error);
  return { message, exitCode: error instanceof CommandFailure ? error.exitCode : exitCodes.failed };
}

/** A parser for an option that is a whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

import { parseArgs } from "node:util";

/** How the fleet is to run. */
export interface FleetOptions {
  readonly phaseSeconds: number;
  readonly processes: number;
  /** `lease` of the store; `undefined`: every decision asks Redis. */
  readonly lease: "auto" | number | undefined;
  /** Print the result as JSON. */
  readonly json: boolean;
}

/** A wrong option, told without a stack. */
export class UsageError extends Error {}

export const USAGE = `npm run fleet -- [options]

  --phase-seconds <n>   how long each of the five phases lasts, 1 to 60 (default 3)
  --processes <n>       server processes, 2 to 16 (default 4)
  --lease <n|auto|off>  cost units that a process takes at a time (default off: every decision asks Redis)
  --json                print the result as JSON`;

/**
 * Reads the command line.
 *
 * @returns `undefined` when help was asked for
 * @throws UsageError for what it does not know
 */
export function readOptions(args: readonly string[]): FleetOptions | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  return {
    phaseSeconds: readNumber("phase-seconds", values["phase-seconds"], { least: 1, most: 60 }),
    processes: readNumber("processes", values.processes, { least: 2, most: 16, isWhole: true }),
    lease: readLease(values.lease),
    json: values.json,
  };
}

/** What `--lease` may say; also how the servers are told. */
export function readLease(text: string): "auto" | number | undefined {
  if (text === "off") return undefined;
  return text === "auto" ? text : readNumber("lease", text, { least: 1, most: 1_000_000, isWhole: true });
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        "phase-seconds": { type: "string", default: "3" },
        processes: { type: "string", default: "4" },
        lease: { type: "string", default: "off" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readNumber(
  name: string,
  text: string,
  { least, most, isWhole = false }: { readonly least: number; readonly most: number; readonly isWhole?: boolean },
): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= least && value <= most && (!isWhole || Number.isInteger(value))) return value;
  throw new UsageError(`--${name} must be a ${isWhole ? "whole " : ""}number from ${least} to ${most}, got "${text}"`);
}

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Placement } from "./machine.js";

/** What to send: a request, and tokens to put into it one after the other. */
export interface Traffic {
  /** A file with the request's bytes, "{token}" where the token goes. */
  readonly requestFile: string;
  /** A file with a token per line, or "-" when the request is always the same. */
  readonly tokenFile: string;
}

/** One measurement to make. */
export interface LoadPlan extends Traffic {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** The first token to send, so that one round does not repeat the tokens of the last. */
  readonly first: number;
  /** Requests per second for an open loop; 0 for a closed one. */
  readonly rate: number;
}

/** What was measured. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Answers whose status is not 2xx. */
  readonly refused: number;
  /** Broken connections and time-outs. */
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** The load generators. */
export type LoadGenerator = "wrk" | "autocannon" | "sockets";

/** Runs one measurement in a process of its own. An open loop is always that of `sockets`. */
export async function measure(generator: LoadGenerator, plan: LoadPlan, placement: Placement): Promise<LoadResult> {
  const [command = "", ...args] = [...placement.load, ...commandOf(plan.rate > 0 ? "sockets" : generator, plan)];
  const output = await new Promise<string>((resolve, reject) => {
    execFile(command, args, { maxBuffer: 2 ** 24 }, (error, stdout, stderr) =>
      error ? reject(new Error(`${command} failed: ${stderr}`, { cause: error })) : resolve(stdout),
    );
  });
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  return JSON.parse(line);
}

function commandOf(generator: LoadGenerator, plan: LoadPlan): string[] {
  const file = (name: string) => fileURLToPath(new URL(`../load/${name}`, import.meta.url));
  if (generator !== "wrk") return [process.execPath, file(`${generator}.mjs`), JSON.stringify(plan)];
  const url = `http://127.0.0.1:${plan.port}`;
  const options = ["-t1", `-c${plan.connections}`, `-d${plan.seconds}s`, "-s", file("wrk.lua"), url];
  return ["wrk", ...options, "--", plan.requestFile, plan.tokenFile, String(plan.first)];
}

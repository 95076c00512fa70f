import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Placement } from "../harness/machine.js";
import { type Algorithm, TokenMaker } from "../harness/tokens.js";
import type { MicroCase } from "./groups.js";

/** How the cases are measured. */
export interface MicroOptions {
  readonly placement: Placement;
  readonly rounds: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Tokens of their own, so many that no cache which is measured here holds them all. */
  readonly newTokens: number;
  /** Does everything once, and measures nothing. */
  readonly isSmoke: boolean;
  readonly report: (line: string) => void;
}

/** What a contender needed, a value per round: nanoseconds per operation, or bytes per key. */
export interface ContenderRounds {
  readonly contender: string;
  readonly values: readonly number[];
}

/** A case's contenders. */
export interface MicroResult extends Pick<MicroCase, "name" | "title" | "mode"> {
  readonly contenders: readonly ContenderRounds[];
}

/** Measures a case, its contenders in turns, each time in a fresh process. */
export async function measureCase(microCase: MicroCase, options: MicroOptions): Promise<MicroResult> {
  const folder = mkdtempSync(join(tmpdir(), "cello-micro-"));
  try {
    const params = { ...microCase.params, ...tokenParams(microCase, options, folder) };
    const values = new Map(microCase.contenders.map((contender) => [contender, [] as number[]]));
    for (let round = 1; round <= options.rounds; round++) {
      for (const [contender, measured] of values) {
        const value = await measureOnce(microCase, contender, params, options);
        measured.push(value);
        options.report(`${microCase.name} round ${round}/${options.rounds}  ${contender}: ${value.toFixed(1)}`);
      }
    }
    const contenders = [...values].map(([contender, measured]) => ({ contender, values: measured }));
    return { name: microCase.name, title: microCase.title, mode: microCase.mode, contenders };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The tokens of a case, written to a file: signing them in every process would take longer than the rest. */
function tokenParams({ group, params }: MicroCase, { newTokens }: MicroOptions, folder: string) {
  if (group !== "tokens") return {};
  const maker = new TokenMaker(algorithmOf(params.algorithm));
  const tokenFile = join(folder, "tokens");
  const count = params.isRepeated === true ? 2 : newTokens;
  writeFileSync(tokenFile, maker.makeMany(count, () => maker.make("user-1")).join("\n"));
  return { key: maker.verificationKey, tokenFile };
}

function algorithmOf(name: unknown): Algorithm {
  if (name === "HS256" || name === "RS256" || name === "ES256") return name;
  throw new Error(`no tokens are made for ${String(name)}`);
}

async function measureOnce(
  { group, mode }: MicroCase,
  contender: string,
  params: Readonly<Record<string, unknown>>,
  { placement, warmupMs, measureMs, isSmoke }: MicroOptions,
): Promise<number> {
  const child = fileURLToPath(new URL("child.mjs", import.meta.url));
  const plan = { group, contender, params, mode: isSmoke && mode === "time" ? "once" : mode, warmupMs, measureMs };
  const [command = "", ...args] = [
    ...placement.server,
    process.execPath,
    "--expose-gc",
    "--max-old-space-size=8192",
    child,
    JSON.stringify(plan),
  ];
  const output = await new Promise<string>((resolve, reject) => {
    execFile(command, args, { env: { ...process.env, NODE_ENV: "production" } }, (error, stdout, stderr) =>
      error ? reject(new Error(`${contender} failed in ${group}: ${stderr}`, { cause: error })) : resolve(stdout),
    );
  });
  const value: unknown = JSON.parse(output).value;
  if (typeof value !== "number") throw new Error(`${contender} measured nothing in ${group}`);
  return value;
}

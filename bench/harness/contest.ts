import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Answer, get, requestText } from "./client.js";
import { checkAnswers, checkRefusal, visitor } from "./equality.js";
import { type LoadGenerator, type LoadResult, measure, type Traffic } from "./load.js";
import { cpuMs, type Placement } from "./machine.js";
import { type Replay, ServerProcess, type ServerSettings } from "./server-process.js";
import type { ServerEntry } from "./servers.js";
import { median } from "./statistics.js";
import { TokenMaker } from "./tokens.js";
import type { Workload } from "./workloads.js";

/** How a workload is measured. */
export interface ContestOptions {
  readonly servers: readonly ServerEntry[];
  readonly generator: LoadGenerator;
  readonly placement: Placement;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly newTokens: number;
  /** Node options for the servers of Cello, such as --cpu-prof. */
  readonly nodeOptions: readonly string[];
  readonly report: (line: string) => void;
}

/** One round of one server. */
export interface Round extends LoadResult {
  /** What the server computed per request, in microseconds; null where the system does not tell. */
  readonly cpuMicros: number | null;
}

/** What one server did in every round. */
export interface ServerRounds {
  readonly server: string;
  readonly rounds: readonly Round[];
}

/** Every server's rounds in one workload. */
export interface ContestResult {
  readonly workload: string;
  readonly title: string;
  /** Requests per second of an open loop; 0 for a closed one. */
  readonly rate: number;
  readonly servers: readonly ServerRounds[];
}

interface Contestant {
  readonly process: ServerProcess;
  readonly traffic: Traffic;
  readonly rounds: Round[];
}

const SESSION_SECRET = "a session secret of the benchmark, longer than 32 bytes";
/** A window of 20 days: the bucket must not refill while the counting is checked. Longer timers overflow in Node. */
const AMPLE_LIMIT = { requests: 10_000_000, window: 20 * 86_400 };
const FLOODED_LIMIT = { requests: 5, window: 86_400 };

/** RSA signs a thousand tokens a second; these are still more than any cache that is measured here holds. */
const NEW_TOKENS_ASYMMETRIC = 20_000;

/**
 * Runs one workload: starts every server, checks its answers, then measures them in turns (A B C A B C)
 * so that whatever the machine does beside hits all alike.
 */
export class Contest {
  readonly #tokens: TokenMaker;
  readonly #folder = mkdtempSync(join(tmpdir(), "cello-bench-"));
  readonly #contestants: Contestant[] = [];
  #tokenFile = "-";

  constructor(
    readonly workload: Workload,
    readonly options: ContestOptions,
  ) {
    this.#tokens = new TokenMaker(workload.algorithm);
  }

  /** @throws Error when a server does not do the work, or answers otherwise under load */
  async run(): Promise<ContestResult> {
    const { workload, options } = this;
    try {
      this.#writeTokens();
      // Started together, entered in their order.
      const entered = await Promise.allSettled(options.servers.map((server) => this.#enter(server)));
      for (const entry of entered) if (entry.status === "fulfilled") this.#contestants.push(entry.value);
      for (const entry of entered) if (entry.status === "rejected") throw entry.reason;
      const rate = workload.pace === "half" ? await this.#halfOfMaximum() : 0;
      for (const contestant of this.#contestants) await this.#load(contestant, options.warmupSeconds, 0, rate);
      for (let round = 1; round <= options.rounds; round++) await this.#round(round, rate);
      const servers = this.#contestants.map(({ process, rounds }) => ({ server: process.name, rounds }));
      return { workload: workload.name, title: workload.title, rate, servers };
    } finally {
      await Promise.all(this.#contestants.map(({ process }) => process.stop()));
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  #writeTokens(): void {
    const { token, algorithm } = this.workload;
    if (token !== "new" && token !== "forged") return;
    const { newTokens } = this.options;
    const count = algorithm === "HS256" ? newTokens : Math.min(newTokens, NEW_TOKENS_ASYMMETRIC);
    this.#tokenFile = join(this.#folder, "tokens");
    const tokens = this.#tokens.makeMany(count, (maker) =>
      token === "new" ? maker.make("user-1") : maker.forge("user-1"),
    );
    writeFileSync(this.#tokenFile, tokens.join("\n"));
  }

  async #enter(server: ServerEntry): Promise<Contestant> {
    const { workload, options } = this;
    if (server.kind !== "reference") await this.#checkWork(server);
    const settings = this.#settings(workload.expectedStatus === 429 ? FLOODED_LIMIT : AMPLE_LIMIT);
    const replay = server.name === "node-replay" ? await this.#capture(settings) : undefined;
    const nodeOptions = server.kind === "cello" ? options.nodeOptions : [];
    const process = await ServerProcess.start(
      server,
      replay ? { ...settings, replay } : settings,
      options.placement,
      nodeOptions,
    );
    const headers = await this.#headers(server.kind === "reference" ? undefined : process);
    const requestFile = join(this.#folder, `${server.name}.request`);
    writeFileSync(requestFile, requestText(workload.path, headers));
    if (server.kind !== "reference" && workload.expectedStatus !== 200) {
      await checkRefusal(process, workload, this.#fillIn(headers)).catch((error) =>
        process.stop().then(() => Promise.reject(error)),
      );
    }
    return { process, traffic: { requestFile, tokenFile: this.#tokenFile }, rounds: [] };
  }

  /** In a process of its own, so that no server starts the race with other counts or caches than the rest. */
  async #checkWork(server: ServerEntry): Promise<void> {
    const { workload, options } = this;
    const process = await ServerProcess.start(server, this.#settings(AMPLE_LIMIT), options.placement);
    await checkAnswers(process, workload, this.#tokens).finally(() => process.stop());
  }

  #settings(limit: ServerSettings["limit"]): ServerSettings {
    const { features, algorithm } = this.workload;
    const { verificationKey } = this.#tokens;
    return { features, algorithm, verificationKey, sessionSecret: SESSION_SECRET, limit };
  }

  /** The headers of the workload's request; references get as many bytes as Cello, that mean nothing to them. */
  async #headers(process: ServerProcess | undefined): Promise<Record<string, string | undefined>> {
    const { workload } = this;
    if (process === undefined) {
      return this.#withCello(this.#settings(AMPLE_LIMIT), (cello) => this.#headers(cello));
    }
    const { Authorization, Cookie } = await visitor(process.port, workload, this.#tokens, 1);
    return { Authorization: this.#tokenFile === "-" ? Authorization : "Bearer {token}", Cookie };
  }

  #fillIn(headers: Record<string, string | undefined>): Record<string, string | undefined> {
    const token = this.workload.token === "forged" ? this.#tokens.forge("user-1") : this.#tokens.make("user-1");
    return { ...headers, Authorization: headers.Authorization?.replace("{token}", token) };
  }

  /** The answer that Cello's App gives to this workload's request, for the server that replays it. */
  #capture(settings: ServerSettings): Promise<Replay> {
    return this.#withCello(settings, async (cello) => {
      const headers = this.#fillIn(await this.#headers(cello));
      let answer = await get(cello.port, this.workload.path, headers);
      const isExhausted = this.workload.expectedStatus === 429;
      for (let count = 0; isExhausted && count < 10; count++) {
        answer = await get(cello.port, this.workload.path, headers);
      }
      return replayOf(answer);
    });
  }

  async #withCello<Result>(settings: ServerSettings, use: (cello: ServerProcess) => Promise<Result>): Promise<Result> {
    const cello = await ServerProcess.start({ name: "cello-app" }, settings, this.options.placement);
    return use(cello).finally(() => cello.stop());
  }

  async #round(round: number, rate: number): Promise<void> {
    const { options } = this;
    for (const contestant of this.#contestants) {
      const result = await this.#load(contestant, options.seconds, round, rate);
      contestant.rounds.push(result);
      const speed = rate > 0 ? `p99 ${result.p99Ms.toFixed(2)} ms` : `${perSecond(result).toFixed(0)}/s`;
      const figure = result.cpuMicros === null ? speed : `${speed}, ${result.cpuMicros.toFixed(1)} us CPU each`;
      options.report(`${this.workload.name} round ${round}/${options.rounds}  ${contestant.process.name}: ${figure}`);
    }
  }

  async #load({ process, traffic }: Contestant, seconds: number, round: number, rate: number): Promise<Round> {
    const { connections, expectedStatus } = this.workload;
    const { generator, placement, newTokens } = this.options;
    // Each round goes on somewhere else in the list of tokens.
    const first = Math.floor((round * newTokens) / 7);
    const plan = { ...traffic, port: process.port, connections, seconds, first, rate };
    const cpuBefore = cpuMs(process.child.pid);
    let result = await measure(generator, plan, placement);
    // On a starved machine a short round can end before its first answer: that says nothing, so once more.
    for (let again = 0; result.requests === 0 && result.errors === 0 && again < 10; again++) {
      result = await measure(generator, plan, placement);
    }
    const cpuAfter = cpuMs(process.child.pid);
    // node-bare and its like always serve.
    const isRefused = result.refused >= result.requests - 10;
    const isServed = result.refused === 0;
    const isReference = process.name === "node-bare" || process.name === "fastify-bare";
    const isExpected = isReference || expectedStatus === 200 ? isServed : isRefused;
    if (!isExpected || result.requests === 0 || result.errors > 0) {
      throw new Error(`${process.name} did not hold under load in "${this.workload.name}": ${JSON.stringify(result)}`);
    }
    const hasCpu = cpuBefore !== undefined && cpuAfter !== undefined;
    return { ...result, cpuMicros: hasCpu ? ((cpuAfter - cpuBefore) * 1000) / result.requests : null };
  }

  async #halfOfMaximum(): Promise<number> {
    const cello = this.#contestants.find(({ process }) => process.name === "cello-app");
    if (cello === undefined) throw new Error(`workload "${this.workload.name}" needs the server cello-app`);
    await this.#load(cello, this.options.warmupSeconds, 0, 0);
    const rates: number[] = [];
    for (let round = 0; round < 3; round++) rates.push(perSecond(await this.#load(cello, this.options.seconds, 0, 0)));
    return Math.round(median(rates) / 2);
  }
}

/** Requests per second. */
export function perSecond({ requests, seconds }: LoadResult): number {
  return requests / seconds;
}

/** Everything that Node does not add itself. */
function replayOf({ status, lines, headers, body }: Answer): Replay {
  const kept: string[] = [];
  for (let index = 0; index < lines.length; index += 2) {
    const name = lines[index] ?? "";
    if (!["date", "connection", "keep-alive"].includes(name.toLowerCase())) kept.push(name, lines[index + 1] ?? "");
  }
  const keepAlive = /timeout=(\d+)/.exec(headers.get("keep-alive") ?? "")?.[1];
  return { status, headers: kept, body, keepAliveSeconds: Number(keepAlive ?? 5) };
}

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { HostState, Message, Ports, Question } from "./server.js";

/** A process that says nothing for so long hangs; to start takes a while on a busy machine. */
const LONGEST_SILENCE_MS = 120_000;

type Kind = Message["kind"];

/** A host in a process of its own. */
export class HostProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<Kind, (message: Message) => void>();
  #exit: string | undefined;

  constructor(readonly host: string) {
    const script = fileURLToPath(new URL("server.ts", import.meta.url));
    // What handlers fail with on purpose is of no interest.
    const output = process.env.FUZZ_VERBOSE === undefined ? "ignore" : "inherit";
    this.#child = fork(script, [host], {
      execArgv: ["--import", "tsx", "--expose-gc"],
      stdio: ["ignore", output, output, "ipc"],
    });
    this.#child.on("message", (message: Message) => this.#waiting.get(message.kind)?.(message));
    this.#child.on("exit", (code, signal) => {
      this.#exit = `the process of the host ended (${signal ?? code})`;
    });
  }

  async listening(): Promise<Ports> {
    const message = await this.#next("listening");
    if (message.kind !== "listening") throw new Error(`an answer of kind ${message.kind}`);
    return message.ports;
  }

  async mood(mood: Extract<Question, { kind: "mood" }>["mood"]): Promise<void> {
    await this.#ask({ kind: "mood", mood });
  }

  async state(): Promise<HostState> {
    const message = await this.#ask({ kind: "state" });
    if (message.kind !== "state") throw new Error(`an answer of kind ${message.kind}`);
    return message;
  }

  async heapMiB(): Promise<number> {
    const message = await this.#ask({ kind: "memory" });
    return message.kind === "memory" ? message.heapMiB : 0;
  }

  stop(): void {
    this.#child.kill();
  }

  #ask(question: Question): Promise<Message> {
    const answer = this.#next(question.kind);
    this.#child.send(question, () => {});
    return answer;
  }

  #next(kind: Kind): Promise<Message> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(this.#exit ?? `${this.host} says nothing: its event loop hangs`));
      }, LONGEST_SILENCE_MS);
      this.#waiting.set(kind, (message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });
  }
}

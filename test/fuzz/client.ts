import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { judge } from "./judge.js";
import { type FuzzResponse, splitResponses } from "./responses.js";
import type { FuzzConnection, FuzzRequest } from "./scenario.js";

/** After so many milliseconds without an answer nobody waits any longer. */
export const PATIENCE_MS = 10_000;

/** A server and how it is called. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** One connection of a scenario, over a raw socket. */
export async function playConnection(target: Target, connection: FuzzConnection): Promise<readonly string[]> {
  await delay(connection.afterMs);
  const player = new Player(target, connection);
  await player.play();
  return player.problems;
}

class Player {
  readonly problems: string[] = [];
  readonly #target: Target;
  readonly #connection: FuzzConnection;
  readonly #socket: Socket;
  readonly #sent: FuzzRequest[] = [];
  #received: Buffer = Buffer.alloc(0);
  #isClosed = false;

  constructor(target: Target, connection: FuzzConnection) {
    this.#target = target;
    this.#connection = connection;
    this.#socket = connect(target.port, "127.0.0.1");
    this.#socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    // A reset by the server is one way to be answered.
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.#isClosed = true;
    });
  }

  async play(): Promise<void> {
    await Promise.race([once(this.#socket, "connect"), delay(PATIENCE_MS)]);
    const { requests, isPipelined, ending } = this.#connection;
    if (isPipelined) {
      this.#sent.push(...requests);
      await this.#send(requests.map((request) => this.#textOf(request)).join("") + this.#lastWords());
    } else {
      for (const request of requests) {
        this.#sent.push(request);
        await this.#send(this.#textOf(request));
        await this.#answered();
      }
      await this.#send(this.#lastWords());
    }
    if (ending === "half-closed") {
      this.#socket.end();
      await this.#until(() => this.#isClosed, "the connection was not closed after its client's end");
    } else if (ending !== "reset") {
      await this.#answered();
    }
    if (ending !== "answered" && ending !== "half-closed") await delay(this.#connection.lingerMs);
    this.#judge();
    if (ending === "answered") this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  /** Whole answers that came until now, those to what the ending sent not included. */
  #responses(): readonly FuzzResponse[] {
    return splitResponses(
      this.#received,
      this.#sent.map(({ method }) => method),
      this.#isClosed,
    ).slice(0, this.#sent.length);
  }

  /** Every request is answered, or the connection is closed. */
  #answered(): Promise<void> {
    const count = this.#sent.length;
    return this.#until(
      () => this.#isClosed || this.#responses().length >= count,
      `of ${count} requests not all answered`,
    );
  }

  async #until(isSo: () => boolean, problem: string): Promise<void> {
    const lastMs = performance.now() + PATIENCE_MS;
    while (!isSo()) {
      if (performance.now() > lastMs) {
        const paths = this.#sent.map(({ path }) => path).join(" ");
        this.problems.push(`${problem} (${this.#responses().length} were): ${paths}`);
        return;
      }
      await delay(3);
    }
  }

  #judge(): void {
    this.#responses().forEach((response, index) => {
      const request = this.#sent[index];
      // A body that its server breaks off may look whole where it has no length.
      const problem =
        request && request.path !== "/destroyed" ? judge(this.#target.host, request, response) : undefined;
      if (problem !== undefined) this.problems.push(problem);
    });
  }

  async #send(text: string): Promise<void> {
    const { pieces } = this.#connection;
    const size = Math.ceil(text.length / pieces);
    for (let at = 0; at < text.length && !this.#isClosed; at += size) {
      if (at > 0) await delay(2);
      this.#socket.write(text.slice(at, at + size), "latin1");
    }
  }

  #textOf({ method, path, body, expectsContinue }: FuzzRequest): string {
    const { client } = this.#connection;
    const lines = [`${method} ${path} HTTP/1.1`, "Host: fuzz.example", `X-Client: ${client}`];
    // Half of the clients take what is compressed.
    if (client < "e") lines.push("Accept-Encoding: gzip");
    if (expectsContinue === true) lines.push("Expect: 100-continue");
    if (body !== undefined) lines.push(`Content-Type: ${typeOf(path)}`, `Content-Length: ${body.length}`);
    return `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`;
  }

  /** What is sent at the end and never completed or answered. */
  #lastWords(): string {
    const { ending, client } = this.#connection;
    const head = `Host: fuzz.example\r\nX-Client: ${client}\r\n`;
    if (ending === "half a head") return `GET /quick HTTP/1.1\r\n${head.slice(0, 20)}`;
    if (ending === "never answered") return `GET /never HTTP/1.1\r\n${head}\r\n`;
    if (ending !== "half a body") return "";
    return `POST /login HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"user`;
  }
}

/** The media type of what is sent to a path. */
export function typeOf(path: string): string {
  return path === "/login" ? "application/json" : "application/octet-stream";
}

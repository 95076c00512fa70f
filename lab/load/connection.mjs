// A keep-alive connection that carries one request at a time.
import { connect } from "node:net";
import { ResponseParser } from "./response-parser.mjs";

const REQUEST = Buffer.from("GET /work HTTP/1.1\r\nHost: lab.test\r\n\r\n", "latin1");

/** The status of a request that has none: the connection broke, or the answer could not be read. */
export const BROKEN = 0;

export class Connection {
  isOpen = true;
  /** Resolves when the connection is there, or could not be made. */
  opened;
  #socket;
  #parser = new ResponseParser();
  #onAnswer;

  /**
   * @param localAddress the client's address; `undefined`: the system's choice
   */
  constructor(port, localAddress) {
    this.#socket = connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
    this.opened = new Promise((resolve) => {
      this.#socket.once("connect", resolve);
      this.#socket.once("close", resolve);
    });
    this.#socket.on("data", (chunk) => this.#read(chunk));
    this.#socket.on("error", () => this.close());
    this.#socket.on("close", () => this.close());
  }

  /** @param onAnswer called once with the status, or with BROKEN */
  send(onAnswer) {
    this.#onAnswer = onAnswer;
    this.#socket.write(REQUEST);
  }

  close() {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#socket.destroy();
    this.#settle(BROKEN);
  }

  #read(chunk) {
    try {
      const answer = this.#parser.feed(chunk);
      if (answer === undefined) return;
      if (answer.isLast) {
        this.isOpen = false;
        this.#socket.destroy();
      }
      this.#settle(answer.status);
    } catch {
      this.close();
    }
  }

  #settle(status) {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    onAnswer?.(status);
  }
}

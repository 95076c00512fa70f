// A small load generator on raw sockets, one request at a time on each connection.
//
// It does what wrk and autocannon do not. It never sleeps: a generator that waits in epoll must be woken
// by every answer, and the server pays for that inside write(), on a virtual machine 5 to 10 us a
// request, and the more the slower the server is, because then the generator sleeps more often. Ratios
// between servers were wrong by a fifth. It has an open loop at a fixed rate whose latency counts from
// the moment a request was due. And it sends a new token with every request without building it anew.
// Its plan comes as JSON in the first argument, its result goes to stdout as one line of JSON.
import { readFileSync } from "node:fs";
import { connect } from "node:net";

const plan = JSON.parse(process.argv[2]);
const requests = prepare(plan);
let next = plan.first % requests.length;
let finished = 0;
let refused = 0;
let errors = 0;
const latenciesMs = [];
const startMs = performance.now();
const endMs = startMs + plan.seconds * 1000;

function prepare({ requestFile, tokenFile }) {
  const template = readFileSync(requestFile, "latin1");
  if (tokenFile === "-") return [Buffer.from(template, "latin1")];
  const [before, after] = template.split("{token}");
  const tokens = readFileSync(tokenFile, "latin1").split("\n").filter(Boolean);
  return tokens.map((token) => Buffer.from(before + token + after, "latin1"));
}

/** One connection; `onIdle` is called when it may send. */
class Connection {
  #socket;
  #rest = "";
  #dueMs = 0;
  #onIdle;

  constructor(onIdle) {
    this.#onIdle = onIdle;
    this.#open();
  }

  send(dueMs) {
    this.#dueMs = dueMs;
    this.#socket.write(requests[next]);
    next = next + 1 === requests.length ? 0 : next + 1;
  }

  #open() {
    this.#socket = connect(plan.port, "127.0.0.1", () => this.#onIdle(this));
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk) => this.#read(chunk));
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      if (performance.now() >= endMs) return;
      errors++;
      this.#rest = "";
      setTimeout(() => this.#open(), 10);
    });
  }

  #read(chunk) {
    const text = this.#rest + chunk.latin1Slice();
    if (!isComplete(text)) {
      this.#rest = text;
      return;
    }
    this.#rest = "";
    finished++;
    if (text.charCodeAt(9) !== 0x32) refused++;
    const nowMs = performance.now();
    latenciesMs.push(nowMs - this.#dueMs);
    this.#onIdle(this);
  }

  close() {
    this.#socket.removeAllListeners("close");
    this.#socket.destroy();
  }
}

function isComplete(text) {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd === -1) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text);
  if (length !== null && length.index < headEnd) return text.length >= headEnd + 4 + Number(length[1]);
  return text.endsWith("0\r\n\r\n");
}

/** Every connection sends its next request as soon as it has the answer. */
function closedLoop() {
  const connections = [];
  for (let index = 0; index < plan.connections; index++) {
    connections.push(
      new Connection((connection) => {
        const nowMs = performance.now();
        if (nowMs < endMs) connection.send(nowMs);
      }),
    );
  }
  const spin = () => (performance.now() < endMs ? setImmediate(spin) : report(connections));
  spin();
}

/** Requests fall due at a fixed rate, whether or not the server keeps up; those that find no idle connection wait. */
function openLoop() {
  const idle = [];
  const connections = [];
  for (let index = 0; index < plan.connections; index++) {
    connections.push(new Connection((connection) => idle.push(connection)));
  }
  const intervalMs = 1000 / plan.rate;
  let dueMs = startMs + 100;
  const tick = () => {
    const nowMs = performance.now();
    while (dueMs <= nowMs && idle.length > 0) {
      idle.pop().send(dueMs);
      dueMs += intervalMs;
    }
    if (nowMs < endMs) setImmediate(tick);
    else report(connections);
  };
  tick();
}

function report(connections) {
  const seconds = (performance.now() - startMs) / 1000;
  for (const connection of connections) connection.close();
  const sorted = Float64Array.from(latenciesMs).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  const result = { requests: finished, seconds, refused, errors, p50Ms: at(0.5), p99Ms: at(0.99) };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit();
}

if (plan.rate === 0) closedLoop();
else openLoop();

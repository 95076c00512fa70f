import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy before a port of this machine, that lets answers wait. */
export interface SlowProxy {
  readonly port: number;
  /** Milliseconds that each answer takes longer from now on. */
  delayMs: number;
  close(): void;
}

/** Starts a proxy; answers keep their order. */
export async function slowProxy(targetPort: number): Promise<SlowProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((inner) => {
    const outer = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
    inner.setNoDelay(true);
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    inner.on("data", (bytes) => outer.write(bytes));
    let lastMs = 0;
    outer.on("data", (bytes) => {
      lastMs = Math.max(lastMs, performance.now() + proxy.delayMs);
      const waitMs = lastMs - performance.now();
      if (waitMs <= 0) inner.write(bytes);
      else setTimeout(() => inner.write(bytes), waitMs);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy listens on no port");
  const proxy: SlowProxy = {
    port: address.port,
    delayMs: 0,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return proxy;
}

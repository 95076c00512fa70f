import { type AddressInfo, Server } from "node:net";

/**
 * While samples run, servers listen on free ports instead of those that the samples name, and are
 * remembered. Nothing else of them is changed.
 */
export class ChosenPorts {
  readonly #listen = Server.prototype.listen;
  readonly #servers: Server[] = [];

  constructor() {
    const servers = this.#servers;
    const listen: (...args: never[]) => unknown = this.#listen;
    Object.assign(Server.prototype, {
      listen(this: Server, ...args: unknown[]): unknown {
        servers.push(this);
        const [first, ...rest] = args;
        return Reflect.apply(listen, this, [withFreePort(first), ...rest]);
      },
    });
  }

  /** The address of the first server that the last sample started. */
  get address(): AddressInfo {
    const address = this.#servers.find((server) => server.listening)?.address();
    if (typeof address !== "object" || address === null) throw new Error("the sample before does not listen");
    return address;
  }

  /** Ends the servers of the last sample. */
  async closeServers(): Promise<void> {
    for (const server of this.#servers.splice(0)) {
      if ("closeAllConnections" in server && typeof server.closeAllConnections === "function") {
        server.closeAllConnections();
      }
      if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  }

  /** Lets servers listen where they want again. */
  restore(): void {
    Object.assign(Server.prototype, { listen: this.#listen });
  }
}

function withFreePort(given: unknown): unknown {
  if (typeof given === "number") return 0;
  return typeof given === "object" && given !== null && "port" in given ? { ...given, port: 0 } : given;
}

import { TLSSocket } from "node:tls";
import type { ClientAddressResolver } from "../../client/client-address.js";
import type { HostRequest, RequestView } from "../../core/request-view.js";
import { isClientGone, type NodeRequest } from "../node-request.js";

/** A request of a Node server, as the pipeline sees it. */
export class NodeRequestView implements RequestView {
  readonly method: string;
  #clientIp: string | undefined = undefined;
  readonly #raw: NodeRequest;
  readonly #url: string;
  readonly #addresses: ClientAddressResolver;

  /**
   * @param raw Node's request
   * @param request the host's own request object (Fastify's, Express's or Node's)
   * @param url the whole request target, before a router cut its mount path off
   */
  constructor(
    raw: NodeRequest,
    readonly request: HostRequest,
    readonly requestId: string,
    url: string,
    addresses: ClientAddressResolver,
  ) {
    this.method = raw.method ?? "GET";
    this.#raw = raw;
    this.#url = url;
    this.#addresses = addresses;
  }

  get rawPath(): string {
    const query = this.#url.indexOf("?");
    return query === -1 ? this.#url : this.#url.slice(0, query);
  }

  get peerAddress(): string | undefined {
    const socket: NodeRequest["socket"] | undefined = this.#raw.socket;
    // Of a connection that is gone nobody tells the address, of one over a Unix socket there is none.
    return socket?.remoteAddress ?? (socket?.destroyed === true ? "" : undefined);
  }

  get clientIp(): string {
    this.#clientIp ??= this.#addresses.resolve(this.peerAddress, this.header("x-forwarded-for"));
    return this.#clientIp;
  }

  get isSecure(): boolean {
    const forwarded = this.#addresses.forwarded(this.peerAddress, this.header("x-forwarded-proto"));
    if (forwarded !== undefined) return forwarded.toLowerCase() === "https";
    return this.#raw.socket instanceof TLSSocket;
  }

  get isClientGone(): boolean {
    return isClientGone(this.#raw);
  }

  get host(): string | undefined {
    return (
      this.#addresses.forwarded(this.peerAddress, this.header("x-forwarded-host")) ??
      this.header(":authority") ??
      this.header("host")
    );
  }

  get forwardedPort(): string | undefined {
    return this.#addresses.forwarded(this.peerAddress, this.header("x-forwarded-port"));
  }

  header(name: string): string | undefined {
    const value = this.#raw.headers[name];
    return typeof value === "object" ? value.join(", ") : value;
  }

  headerCount(name: string): number {
    // The doubles of tests, and adapters of cloud functions, may not have them.
    const rawHeaders: readonly string[] = this.#raw.rawHeaders ?? [];
    let count = 0;
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const candidate = rawHeaders[index];
      if (candidate?.length === name.length && candidate.toLowerCase() === name) count++;
    }
    return count;
  }
}

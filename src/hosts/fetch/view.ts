import type { ClientAddressResolver } from "../../client/client-address.js";
import type { HostRequest, RequestView } from "../../core/request-view.js";
import { isClientGone, type NodeRequest } from "../node-request.js";
import { nextRequestId } from "../request-id.js";
import { requireAddress } from "./peer-address.js";

/** A request of the Fetch standard, as the pipeline sees it. */
export class FetchRequestView implements RequestView {
  readonly requestId = nextRequestId();
  readonly #raw: Request;
  readonly #askPeer: () => unknown;
  #isPeerAsked = false;
  /** That of nobody, until it was told. */
  #peerAddress: string | undefined = "";
  readonly #addresses: ClientAddressResolver;
  #clientIp: string | undefined = undefined;
  #request: HostRequest | undefined = undefined;

  /**
   * @param askPeer tells the address at the other end of the socket, when the runtime does; asked at first use,
   *   where its error is one of the request
   * @param incoming the request of the Node server underneath, when there is one
   */
  constructor(
    raw: Request,
    askPeer: () => unknown,
    addresses: ClientAddressResolver,
    readonly incoming: NodeRequest | undefined = undefined,
  ) {
    this.#raw = raw;
    this.#askPeer = askPeer;
    this.#addresses = addresses;
  }

  get peerAddress(): string | undefined {
    if (!this.#isPeerAsked) {
      this.#isPeerAsked = true;
      this.#peerAddress = requireAddress(this.#askPeer());
    }
    return this.#peerAddress;
  }

  get method(): string {
    return this.#raw.method;
  }

  /** The request as the functions of a configuration see it, in the form of Node's. */
  get request(): HostRequest {
    this.#request ??= {
      method: this.#raw.method,
      url: this.#raw.url.slice(originLength(this.#raw.url)),
      headers: Object.fromEntries(this.#raw.headers),
      clientIp: this.clientIp,
    };
    return this.#request;
  }

  get rawPath(): string {
    const url = this.#raw.url;
    const start = originLength(url);
    const end = url.slice(start).search(/[?#]/);
    return end === -1 ? url.slice(start) : url.slice(start, start + end);
  }

  get clientIp(): string {
    this.#clientIp ??= this.#addresses.resolve(this.peerAddress, this.header("x-forwarded-for"));
    return this.#clientIp;
  }

  get isSecure(): boolean {
    const forwarded = this.#addresses.forwarded(this.peerAddress, this.header("x-forwarded-proto"));
    return forwarded === undefined ? this.#raw.url.startsWith("https:") : forwarded.toLowerCase() === "https";
  }

  get isClientGone(): boolean | undefined {
    return this.incoming && isClientGone(this.incoming);
  }

  get host(): string | undefined {
    return (
      this.#addresses.forwarded(this.peerAddress, this.header("x-forwarded-host")) ??
      this.header("host") ??
      new URL(this.#raw.url).host
    );
  }

  get forwardedPort(): string | undefined {
    return this.#addresses.forwarded(this.peerAddress, this.header("x-forwarded-port"));
  }

  header(name: string): string | undefined {
    return this.#raw.headers.get(name) ?? undefined;
  }

  /** `Headers` joins fields that were sent twice; the joined value is then refused for its comma. */
  headerCount(name: string): number {
    return this.#raw.headers.has(name) ? 1 : 0;
  }
}

/** Where the path begins in an absolute URL. */
function originLength(url: string): number {
  const slash = url.indexOf("/", url.indexOf("://") + 3);
  return slash === -1 ? url.length : slash;
}

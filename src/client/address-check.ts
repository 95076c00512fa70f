import type { EventHub } from "../core/events.js";
import type { RequestView } from "../core/request-view.js";
import type { ClientAddressResolver } from "./client-address.js";

/** In which header proxies of all kinds name the client. */
const NAMING_HEADERS: readonly string[] = ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip"];
/** Requests that are looked at one by one; of the later ones, one of so many. */
const FIRST_LOOKS = 1024;
const LATER_LOOKS = 256;
/** So many requests that name a client, all from peers outside `trustProxy`, and none from within: no accident. */
const STRANGERS = 32;

/** What is said once, at most, and never again. */
type AddressWarning = "CELLO_UNTRUSTED_PROXY" | "CELLO_FORWARDED_NOT_READ" | "CELLO_NO_CLIENT_ADDRESS";

/**
 * Finds out whether all clients are counted as one because the application does not know its proxy, or
 * its host tells no addresses, and says so once, as `config.warning`.
 *
 * Proxies do the same with every request: the first ones are enough to look at, and now and then a later one.
 */
export class AddressCheck {
  readonly #addresses: ClientAddressResolver;
  readonly #events: EventHub;
  /** Whether the application said that nobody may speak for its clients. */
  readonly #isSettled: boolean;
  readonly #given = new Set<AddressWarning>();
  #looks = 0;
  /** Requests that name a client and come from a peer outside `trustProxy`; `undefined` once a trusted one was met. */
  #strangers: number | undefined = 0;

  /** @param trustProxy the option as it was given: `false` says that there is no proxy, whatever clients send */
  constructor(addresses: ClientAddressResolver, events: EventHub, trustProxy: unknown) {
    this.#addresses = addresses;
    this.#events = events;
    this.#isSettled = trustProxy === false;
  }

  /** Looks at a request that is counted by its client's address. */
  look(view: RequestView): void {
    this.#looks++;
    if (this.#looks > FIRST_LOOKS && this.#looks % LATER_LOOKS !== 0) return;
    const { peerAddress } = view;
    if (peerAddress === undefined) this.#warn("CELLO_NO_CLIENT_ADDRESS", NO_ADDRESS);
    else if (this.#addresses.isTrusted(peerAddress)) this.#lookAtProxy(view);
    else if (!this.#isSettled && !this.#given.has("CELLO_UNTRUSTED_PROXY")) this.#lookAtStranger(view);
  }

  #lookAtProxy(view: RequestView): void {
    this.#strangers = undefined;
    const isUnread = view.header("x-forwarded-for") === undefined && view.header("forwarded") !== undefined;
    if (isUnread) this.#warn("CELLO_FORWARDED_NOT_READ", FORWARDED_ONLY);
  }

  #lookAtStranger(view: RequestView): void {
    const { trustsSomebody } = this.#addresses;
    if (trustsSomebody && this.#strangers === undefined) return;
    const header = NAMING_HEADERS.find((name) => view.header(name) !== undefined);
    if (header === undefined) return;
    if (!trustsSomebody) this.#warn("CELLO_UNTRUSTED_PROXY", untrusted(header, view.clientIp));
    else if (this.#strangers !== undefined && ++this.#strangers >= STRANGERS) {
      this.#warn("CELLO_UNTRUSTED_PROXY", anotherProxy(header, view.clientIp));
    }
  }

  #warn(code: AddressWarning, message: string): void {
    if (this.#given.has(code)) return;
    this.#given.add(code);
    this.#events.emit("config.warning", { code, message });
  }
}

const NO_ADDRESS =
  "the host tells no client address, so all clients share one quota; give secure() or cello() a peerAddress " +
  "function, or count by a key function (over a Unix socket there is no address: let the proxy connect over TCP)";

const FORWARDED_ONLY =
  "a trusted proxy names the client in Forwarded (RFC 7239) only, which is not read, so all clients behind it share " +
  "one quota; let it send X-Forwarded-For";

function anotherProxy(header: string, clientIp: string): string {
  return (
    `no request came from an address in trustProxy, and ${STRANGERS} with ${header} came from elsewhere, the last from ` +
    `${clientIp}: if that is the proxy, all clients behind it share one quota; name it in trustProxy`
  );
}

function untrusted(header: string, clientIp: string): string {
  return (
    `a request from ${clientIp} carries ${header}, and trustProxy is not given: if a proxy sends it, all clients ` +
    'behind that share one quota; name the proxy, for example trustProxy: ["10.0.0.0/8"], which reads X-Forwarded-For. ' +
    "Any client can send such a header: if there is no proxy, trustProxy: false ends this warning"
  );
}

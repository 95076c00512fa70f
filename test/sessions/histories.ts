import type { Session } from "cello";
import fc from "fast-check";
import { SignedIds } from "../../src/session/signed-id.js";
import { FakeClient, type FakeServer } from "./client.js";

/** What a request does with its session, after it has waited as often as `pauses` says. */
export interface RequestPlan {
  /** Which of the processes answers it. */
  readonly process: number;
  readonly kind:
    | "write"
    | "rotate"
    | "rotateAndWrite"
    | "signIn"
    | "destroy"
    | "revokeAll"
    | "revokeOthers"
    | "rotateAndRevokeOthers";
  readonly pauses: number;
}

/** Tabs of one browser, which send their requests at the same time; each tab one after the other. */
export type HistoryPlan = readonly (readonly RequestPlan[])[];

/** For tests: what browsers do with a session at the same time. */
export function historyPlans(processes: number): fc.Arbitrary<HistoryPlan> {
  const request = fc.record({
    process: fc.nat(processes - 1),
    kind: fc.constantFrom<RequestPlan["kind"]>(
      "write",
      "write",
      "write",
      "rotate",
      "rotate",
      "rotateAndWrite",
      "rotateAndWrite",
      "signIn",
      "destroy",
      "revokeAll",
      "revokeOthers",
      "rotateAndRevokeOthers",
    ),
    pauses: fc.nat(2),
  });
  const tab = fc.array(request, { minLength: 1, maxLength: 3 });
  return fc.array(tab, { minLength: 2, maxLength: 4 });
}

/** What was acknowledged to have happened to a session; `root` is kept in it from its beginning on. */
interface Deed {
  readonly root: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Where a history happens. */
export interface HistoryWorld {
  readonly servers: readonly FakeServer[];
  /** Lets others go first, for some time. */
  readonly pause: () => Promise<void>;
  /** A user of this history alone. */
  readonly userId: string;
}

/**
 * For tests: carries out what a plan says, and then looks at what is left of it.
 *
 * @returns what must not be: sessions that came back, writes that were acknowledged and are lost, and two
 *   sessions made of one
 */
export async function carryOut(plan: HistoryPlan, world: HistoryWorld): Promise<readonly string[]> {
  const history = new History(world);
  await history.request({ process: 0, kind: "signIn", pauses: 0 });
  await Promise.all(
    plan.map(async (tab) => {
      for (const request of tab) {
        await world.pause();
        await history.request(request);
      }
    }),
  );
  return history.problems();
}

class History {
  readonly #world: HistoryWorld;
  #time = 0;
  #names = 0;
  /** The cookie that the browser has. */
  #jar: string | undefined;
  readonly #cookies = new Set<string>();
  readonly #writes: (Deed & { readonly key: string })[] = [];
  readonly #ends: Deed[] = [];
  readonly #signIns: Deed[] = [];
  readonly #revocations: Omit<Deed, "root">[] = [];
  /** Sessions that a revocation left alone. */
  readonly #spared = new Map<Omit<Deed, "root">, string>();

  constructor(world: HistoryWorld) {
    this.#world = world;
  }

  async request({ process, kind, pauses }: RequestPlan): Promise<void> {
    const server = this.#world.servers[process];
    if (server === undefined) throw new RangeError("there are fewer processes");
    const client = new FakeClient(server);
    client.cookie = this.#jar;
    const startedAt = this.#time++;
    const key = `key-${this.#names++}`;
    let root = "";
    try {
      await client.request(async (session) => {
        root = await this.#handle(session, server, { kind, pauses, key });
      });
    } catch (error) {
      // Nothing was acknowledged: the client got 503.
      if (Object(error).code === "CELLO_STORE_UNAVAILABLE") return;
      throw error;
    }
    if (client.setCookie !== undefined) this.#jar = client.cookie;
    if (client.setCookie !== undefined && client.cookie !== undefined) this.#cookies.add(client.cookie);
    this.#note(kind, key, { root, startedAt, endedAt: this.#time++ });
  }

  /** @returns the root of the session that the request had opened */
  async #handle(
    session: Session,
    server: FakeServer,
    { kind, pauses, key }: Pick<RequestPlan, "kind" | "pauses"> & { readonly key: string },
  ): Promise<string> {
    const known = session.get("root");
    // A session without a root began when another was ended under a request that went on to write.
    const root = typeof known === "string" ? known : session.isNew ? `root of ${key}` : "";
    for (let pause = 0; pause < pauses; pause++) await this.#world.pause();
    const writes = kind === "write" || kind === "rotateAndWrite" || kind === "signIn";
    if (kind.startsWith("rotate") || kind === "signIn") await session.regenerate();
    if (known === undefined && root !== "" && writes) session.set("root", root);
    if (writes) session.set(key, 1);
    if (kind === "signIn") session.set("userId", this.#world.userId);
    if (kind === "destroy") await session.destroy();
    if (kind === "revokeAll") await server.manager.users?.revokeAll(this.#world.userId);
    if (isSparing(kind)) await server.manager.users?.revokeAll(this.#world.userId, { except: session.id });
    for (let pause = 0; pause < pauses; pause++) await this.#world.pause();
    return root;
  }

  #note(kind: RequestPlan["kind"], key: string, deed: Deed): void {
    if (kind === "write" || kind === "rotateAndWrite" || kind === "signIn") this.#writes.push({ ...deed, key });
    if (kind === "signIn") this.#signIns.push(deed);
    if (kind === "destroy") this.#ends.push(deed);
    if (kind === "revokeAll" || isSparing(kind)) this.#revocations.push(deed);
    if (isSparing(kind)) this.#spared.set(deed, deed.root);
  }

  /** What must not be, now that all is over. */
  async problems(): Promise<readonly string[]> {
    const found: string[] = [];
    const live = await this.#liveSessions();
    const roots = new Set([...this.#writes, ...this.#ends].map(({ root }) => root).filter((root) => root !== ""));
    for (const root of roots) {
      const left = live.filter(({ values }) => values.root === root);
      const ending = this.#endingOf(root);
      if (left.length > 1) found.push(`${left.length} sessions are made of ${root}`);
      if (ending === "ended" && left.length > 0) found.push(`${root} was ended and is there`);
      if (ending === "open" && left.length === 0) found.push(`${root} is gone and nobody ended it`);
      for (const { values } of left) {
        const lost = this.#writes.filter((write) => write.root === root && values[write.key] !== 1);
        found.push(...lost.map(({ key }) => `${key} of ${root} was acknowledged and is lost`));
      }
    }
    const listed = (await this.#world.servers[0]?.manager.users?.list(this.#world.userId)) ?? [];
    const ofUser = live.filter(({ values }) => values.userId === this.#world.userId).map(({ id }) => id);
    if (
      listed
        .map(({ id }) => id)
        .sort()
        .join() !== ofUser.sort().join()
    ) {
      found.push(`${listed.length} sessions are listed and ${ofUser.length} are there`);
    }
    return found;
  }

  #endingOf(root: string): "open" | "ended" | "either" {
    if (this.#ends.some((end) => end.root === root)) return "ended";
    const signIns = this.#signIns.filter((signIn) => signIn.root === root);
    let ending: "open" | "either" = "open";
    for (const revocation of this.#revocations) {
      if (this.#spared.get(revocation) === root) continue;
      if (signIns.some((signIn) => signIn.endedAt < revocation.startedAt)) return "ended";
      if (signIns.some((signIn) => signIn.startedAt < revocation.endedAt)) ending = "either";
    }
    return ending;
  }

  /** What every cookie that was ever set still opens. */
  async #liveSessions() {
    const [server] = this.#world.servers;
    if (server === undefined) throw new RangeError("there is no process");
    const sessions = await Promise.all(
      [...this.#cookies].map(async (cookie) => {
        const client = new FakeClient(server);
        client.cookie = cookie;
        return client.request((session) => {
          const values: Readonly<Record<string, unknown>> = session.all();
          return session.isNew ? undefined : { id: SignedIds.storeIdOf(session.id), values };
        });
      }),
    );
    return sessions.filter((session) => session !== undefined);
  }
}

/** Whether a request ends all sessions of the user but its own. */
function isSparing(kind: RequestPlan["kind"]): boolean {
  return kind === "revokeOthers" || kind === "rotateAndRevokeOthers";
}

/** A server process of its own, that does what the test tells it by message. */
import { openSessionApp } from "./session-app.js";

/** What a process can be told. */
export type SessionOrder =
  | {
      readonly kind: "write";
      readonly cookies: readonly string[];
      /** Begins each key that is written. */
      readonly name: string;
      readonly writes: number;
      /** Writes one after the other that go to the same session. */
      readonly inARow: number;
      readonly inFlight: number;
    }
  | { readonly kind: "logIn"; readonly userId: string }
  | { readonly kind: "list"; readonly userId: string }
  | { readonly kind: "revoke"; readonly id: string }
  | { readonly kind: "revokeAll"; readonly userId: string; readonly except?: string };

const [, , url = ""] = process.argv;
const { app, store, logIn, set } = openSessionApp({ url });

async function carryOut(order: SessionOrder): Promise<unknown> {
  switch (order.kind) {
    case "write":
      return write(order);
    case "logIn":
      return logIn(order.userId);
    case "list":
      return app.sessions.list(order.userId);
    case "revoke":
      return app.sessions.revoke(order.id);
    case "revokeAll":
      return app.sessions.revokeAll(order.userId, { except: order.except });
  }
}

/** @returns for each session the keys whose write was acknowledged */
async function write({ cookies, name, writes, inARow, inFlight }: SessionOrder & { readonly kind: "write" }) {
  const acknowledged: string[][] = cookies.map(() => []);
  let next = 0;
  const worker = async () => {
    for (let number = next++; number < writes; number = next++) {
      const session = Math.floor(number / inARow) % cookies.length;
      const key = `${name}-${number}`;
      if (await set(cookies[session] ?? "", key)) acknowledged[session]?.push(key);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { acknowledged, conflicts: store.conflicts };
}

process.on("message", (order: SessionOrder) => {
  carryOut(order).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit());
process.send?.({ answer: "ready" });

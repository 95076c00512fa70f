/** A server of the bench: a file in bench/servers, and what it stands for. */
export interface ServerEntry {
  readonly name: string;
  readonly title: string;
  /** References do less work on purpose; peers must do the same as Cello. */
  readonly kind: "reference" | "cello" | "peer";
  /** Where the server of another checkout is, when it is not of this one. */
  readonly origin?: { readonly file: string; readonly checkout: URL };
}

const ALL: readonly ServerEntry[] = [
  { name: "node-bare", title: "node:http, no security", kind: "reference" },
  { name: "node-replay", title: "node:http, same bytes as Cello", kind: "reference" },
  { name: "fastify-bare", title: "Fastify, no security", kind: "reference" },
  { name: "cello-app", title: "Cello App", kind: "cello" },
  { name: "cello-node", title: "Cello on node:http", kind: "cello" },
  { name: "fastify-readme", title: "Fastify stack, as READMEs", kind: "peer" },
  { name: "fastify-tuned", title: "Fastify stack, tuned", kind: "peer" },
  { name: "express-readme", title: "Express stack, as READMEs", kind: "peer" },
  { name: "express-tuned", title: "Express stack, tuned", kind: "peer" },
  { name: "hono-readme", title: "Hono stack, as READMEs", kind: "peer" },
  { name: "hono-tuned", title: "Hono stack, tuned", kind: "peer" },
];

/**
 * The servers that were asked for, or all.
 *
 * @throws Error naming a server that does not exist
 */
export function selectServers(names: readonly string[] | undefined): readonly ServerEntry[] {
  if (names === undefined) return ALL;
  for (const name of names) {
    if (!ALL.some((server) => server.name === name)) {
      throw new Error(`no server "${name}"; there are ${ALL.map((server) => server.name).join(", ")}`);
    }
  }
  return ALL.filter((server) => names.includes(server.name));
}

/** Cello as another checkout has it, which is built there: what a change costs is only seen in one run. */
export function serversOf(checkout: URL): readonly ServerEntry[] {
  return ALL.filter(({ kind }) => kind === "cello").map(({ name, title, kind }) => ({
    name: `${name}-before`,
    title: `${title}, before`,
    kind,
    origin: { file: name, checkout },
  }));
}

/** How a server is called in tables. */
export function serverTitle(name: string): string {
  return ALL.find((server) => server.name === name)?.title ?? name.replace("-before", ", before");
}

/** What a server stands for. */
export function serverKind(name: string): ServerEntry["kind"] {
  return ALL.find((server) => server.name === name.replace("-before", ""))?.kind ?? "peer";
}

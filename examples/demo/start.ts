import { DEMO_USERS } from "./accounts.js";
import type { Demo } from "./server.js";

const DEFAULT_PORT = 8000;

type CreateDemo = (options: { readonly port: number }) => Promise<Demo>;

/** Starts the demo for a person at a terminal. */
export async function runDemo(createDemo: CreateDemo): Promise<void> {
  const demo = await startOnSomePort(createDemo);
  logEvents(demo);
  console.info(welcome(demo.url));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void demo.close());
}

/** The port that was asked for, or else 8000, or else any that is free. */
async function startOnSomePort(createDemo: CreateDemo): Promise<Demo> {
  const asked = process.env.PORT;
  if (asked !== undefined && asked !== "") return createDemo({ port: readPort(asked) });
  try {
    return await createDemo({ port: DEFAULT_PORT });
  } catch (error) {
    if (!isPortTaken(error)) throw error;
    console.info(`Port ${DEFAULT_PORT} is taken, so the demo takes a free one. Choose one with PORT=...`);
    return createDemo({ port: 0 });
  }
}

function readPort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new RangeError(`PORT must be a whole number from 0 to 65535, got "${text}"`);
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

/** Shows what the locks stopped, each kind at most once a second: a flood must not fill the terminal. */
function logEvents({ app }: Demo): void {
  const lastShown = new Map<string, number>();
  const show = (event: string, why: string) => {
    const line = `${event} (${why})`;
    const now = Date.now();
    if (now - (lastShown.get(line) ?? 0) < 1000) return;
    lastShown.set(line, now);
    console.info(`${new Date(now).toISOString().slice(11, 19)}  ${line}`);
  };
  app.on("token.rejected", ({ reason }) => show("token.rejected", reason));
  app.on("session.rejected", ({ reason }) => show("session.rejected", reason));
  app.on("csrf.rejected", ({ origin }) => show("csrf.rejected", origin ?? "no origin"));
  app.on("ratelimit.exceeded", ({ name }) => show("ratelimit.exceeded", name));
}

function welcome(url: string): string {
  const [{ name, password }] = DEMO_USERS;
  return `
  Cello demo: ${url}
  Sign in as ${name} with the password ${password}, then try the locks.

  Or paste these into another terminal:

  # 1. Get a token.
  TOKEN=$(curl -s ${url}/api/token -H 'Content-Type: application/json' -d '{"name":"${name}","password":"${password}"}' | cut -d '"' -f 4); echo "$TOKEN"

  # 2. Call the API with it.
  curl -i ${url}/api/me -H "Authorization: Bearer $TOKEN"

  # 3. Guess passwords until the limit stops you: 403, then 429.
  for guess in 1 2 3 4 5 6; do curl -s -o /dev/null -w '%{http_code}\\n' ${url}/sign-in -d "name=${name}&password=$guess"; done

  Stop the demo with Ctrl+C. What the locks stop is listed below.
`;
}

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const server = fileURLToPath(new URL("../../examples/demo/server.ts", import.meta.url));

/** A demo as a person starts it, and what it has printed so far. */
interface RunningDemo {
  readonly child: ChildProcess;
  output: string;
}

const running: RunningDemo[] = [];

afterEach(async () => {
  for (const { child } of running.splice(0)) {
    if (child.exitCode !== null) continue;
    child.kill();
    await once(child, "exit");
  }
});

function start(env: Readonly<Record<string, string>>): RunningDemo {
  const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), server], {
    // As "npm run demo" does: with the built package, which needs not be translated each time.
    env: { PATH: process.env.PATH ?? "", TSX_TSCONFIG_PATH: `${root}tsconfig.build.json`, ...env },
    cwd: root,
  });
  const demo: RunningDemo = { child, output: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      demo.output += chunk;
    });
  }
  running.push(demo);
  return demo;
}

/** Waits until the demo has printed something. */
async function printed(demo: RunningDemo, text: string): Promise<void> {
  await expect.poll(() => demo.output, { timeout: 50_000 }).toContain(text);
}

describe("the demo in a terminal", () => {
  it("prints three curl lines that work as they are pasted", async () => {
    const demo = start({ PORT: "0" });
    await printed(demo, "Stop the demo with Ctrl+C");
    const lines = demo.output.split("\n").filter((line) => /\bcurl\b/.test(line));
    expect(lines).toHaveLength(3);

    const { stdout } = await promisify(execFile)("sh", ["-c", lines.join("\n")]);
    const [token = "", ...rest] = stdout.split("\n");
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    const answers = rest.join("\n");
    expect(answers).toContain("200 OK");
    expect(answers).toContain('"name":"ada"');
    // The token took one of the five tries.
    expect(answers.match(/\b(?:403|429)\b/g)).toEqual(["403", "403", "403", "403", "429", "429"]);
    await printed(demo, "ratelimit.exceeded (sign-in)");
  });

  it("takes a free port and says so when its own is taken and none was asked for", async () => {
    const occupant = createServer().listen(8000, "localhost");
    // Somebody else may hold it already, which does as well.
    await Promise.race([once(occupant, "listening"), new Promise((resolve) => occupant.once("error", resolve))]);
    try {
      const demo = start({});
      await printed(demo, "Cello demo: http://localhost:");
      expect(demo.output).toContain("Port 8000 is taken");
      expect(demo.output).not.toContain("http://localhost:8000");
    } finally {
      occupant.close();
    }
  });

  it("stops when it is asked to", async () => {
    const demo = start({ PORT: "0" });
    await printed(demo, "Stop the demo with Ctrl+C");
    demo.child.kill("SIGTERM");
    const [code] = await once(demo.child, "exit");
    expect(code).toBe(0);
  });

  it("refuses a port that is none", async () => {
    const demo = start({ PORT: "eight thousand" });
    const [code] = await once(demo.child, "exit");
    expect(code).not.toBe(0);
    expect(demo.output).toContain('PORT must be a whole number from 0 to 65535, got "eight thousand"');
  });
});

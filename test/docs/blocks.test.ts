import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { SHARED_MS } from "../shared/shared.js";
import { ChosenPorts } from "./chosen-ports.js";
import { type CodeBlock, type Page, readPages, repository } from "./documents.js";
import { clearPrograms, type Program, programsOf, typeCheck } from "./programs.js";
import { runShell } from "./shell.js";
import { WireReplay } from "./wire.js";

/** Languages whose blocks are proved here; `mermaid` is a picture. */
const LANGUAGES = ["ts", "sh", "http", "json", "text", "mermaid"];

const pages = readPages();
clearPrograms();
const programs = pages.map(programsOf);
const everyBlock = pages.flatMap((page) => page.blocks);

// What the samples read from their environment.
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
Object.assign(process.env, {
  JWT_SECRET: randomBytes(32).toString("base64url"),
  JWT_SECRET_OLD: randomBytes(32).toString("base64url"),
  SESSION_SECRET: randomBytes(32).toString("base64url"),
  SESSION_SECRET_OLD: randomBytes(32).toString("base64url"),
  JWT_PRIVATE_KEY: privateKey.export({ format: "pem", type: "pkcs8" }),
  JWT_PUBLIC_KEY: publicKey.export({ format: "pem", type: "spki" }),
});

describe("the code in the documentation", () => {
  let problems: ReadonlyMap<string, string>;

  beforeAll(async () => {
    problems = await typeCheck(programs.flat());
  }, SHARED_MS);

  it("stands in languages that are proved here", () => {
    expect(everyBlock.filter((block) => !LANGUAGES.includes(block.language)).map((block) => block.place)).toEqual([]);
  });

  it("compiles without a message that belongs to no block", () => {
    const files = new Set(programs.flat().map((program) => program.file));
    expect([...problems].filter(([file]) => !files.has(file))).toEqual([]);
  });

  it.each(programs.flat().map((program) => [program.block.place, program] as const))(
    "%s compiles",
    (_place, program) => {
      expect(problems.get(program.file) ?? "").toBe("");
    },
  );

  it.each(blocksOf("json"))("%s is JSON", (_place, block) => {
    expect(() => JSON.parse(block.text)).not.toThrow();
  });
});

const pagesWithCode = pages.map((page, index) => [page.path, page, programs[index] ?? []] as const);

describe.each(pagesWithCode.filter(([, page]) => page.blocks.length > 0))(
  "the samples of %s",
  (_path, page, pagePrograms) => provePage(page, pagePrograms),
);

/** Runs the blocks of a page from top to bottom, as a reader would. */
function provePage(page: Page, pagePrograms: readonly Program[]): void {
  let ports: ChosenPorts;
  let folder: string;
  let wire: WireReplay | undefined;
  let printed = "";

  beforeAll(() => {
    // Limits stand still: a hundred requests may take longer on a busy machine than one unit takes to come back.
    vi.useFakeTimers({ toFake: ["performance"] });
    ports = new ChosenPorts();
    folder = mkdtempSync(join(tmpdir(), "cello-docs-"));
  });
  afterAll(async () => {
    await ports.closeServers();
    ports.restore();
    vi.useRealTimers();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const block of page.blocks) {
    const program = pagePrograms.find((candidate) => candidate.block === block);
    if (program?.isRun === true) {
      it(`${block.place} runs`, async () => {
        await ports.closeServers();
        wire = undefined;
        printed = "";
        printed = await captureOutput(() => import(/* @vite-ignore */ pathToFileURL(program.file).href));
      });
    }
    if (block.language === "text" && block.markers.includes("output")) {
      it(`${block.place} is what the sample prints`, () => {
        expect(withoutLineEnds(printed)).toBe(block.text);
      });
    }
    if (block.language === "http") {
      it(`${block.place} is what the sample answers`, async () => {
        wire ??= new WireReplay(ports.address);
        for (const marker of block.markers.filter((text) => text.startsWith("before:"))) await wire.prepare(marker);
        await wire.replay(block.text);
      });
    }
    if (block.language === "sh") {
      it(`${block.place} can be typed in`, async () => {
        const { exitCode, output } = await runShell(block.text, folder);
        expect(exitCode, output).toBe(0);
        // Programs start slowly on a busy machine; no time is asserted.
      }, 120_000);
    }
  }
}

describe("the links in the documentation", () => {
  it.each(pages.map((page) => [page.path, page] as const))("of %s lead somewhere", (_path, page) => {
    const dead = linksOf(page).filter((link) => !leadsSomewhere(page, link));
    expect(dead).toEqual([]);
  });
});

async function captureOutput(run: () => Promise<unknown>): Promise<string> {
  const lines: string[] = [];
  const spy = vi.spyOn(console, "log").mockImplementation((...values: unknown[]) => {
    lines.push(values.map(String).join(" "));
  });
  try {
    await run();
  } finally {
    spy.mockRestore();
  }
  return lines.join("\n");
}

/** Lines without the spaces at their ends, which editors remove. */
function withoutLineEnds(text: string): string {
  return text.replaceAll(/ +$/gm, "").trimEnd();
}

function blocksOf(language: string): (readonly [string, CodeBlock])[] {
  return everyBlock.filter((block) => block.language === language).map((block) => [block.place, block] as const);
}

/** Relative links of a page; those to other sites are not visited. */
function linksOf({ text }: Page): readonly string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => (/^[a-z]+:/.test(target) ? [] : [target]));
}

function leadsSomewhere(page: Page, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const file = path === "" ? join(repository, page.path) : join(repository, dirname(page.path), path);
  if (!existsSync(file)) return false;
  return anchor === undefined || anchorsOf(readFileSync(file, "utf8")).includes(anchor);
}

/** The anchors that GitHub gives to headings. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

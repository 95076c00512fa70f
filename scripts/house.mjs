// "node scripts/house.mjs [CHECKOUT]": the size and shape of a checkout's sources, as a table of Markdown, so that two
// states of the code can be held side by side. The last figures are of its dist/: build it there first.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseSync, Visitor } from "oxc-parser";

/** New processes whose median import time counts. */
const IMPORTS = 11;

const here = fileURLToPath(new URL("..", import.meta.url));
const checkout = resolve(process.argv[2] ?? here);

const sources = readdirSync(join(checkout, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => ({ file, text: readFileSync(join(checkout, "src", file), "utf8") }));
const shape = sources.map(shapeOf);
const sum = (of) => shape.reduce((total, one) => total + of(one), 0);
const codeLines = sum((one) => one.codeLines);
const classes = sum((one) => one.classes);

const rows = [
  ["lines of src, without tests", sum((one) => one.lines)],
  ["of them code", codeLines],
  ["files of src", sources.length],
  ["classes per 1,000 lines of code", ((classes * 1000) / codeLines).toFixed(1)],
  ["names exported by files of src", sum((one) => one.exports)],
  ["fields, members and parameters that hold a limit's `requests`", sum((one) => one.requests)],
  ["tracked lines outside src and test", linesOutside()],
];
if (existsSync(join(checkout, "dist/index.js"))) {
  for (const [what, ...args] of [
    ["one warm GET", checkout],
    ["one refused GET", checkout, "--refused"],
  ]) {
    const lines = run(process.execPath, [join(here, "scripts/entered.mjs"), ...args])
      .trimEnd()
      .split("\n");
    rows.push([`${what} on App enters`, lines.at(-1)]);
  }
  const { packages, ms } = imported();
  rows.push(['packages that import "cello" loads', `${packages.length}: ${packages.join(", ")}`]);
  rows.push(['import "cello" in a new process, median ms', ms.toFixed(0)]);
}
console.log(["| figure | value |", "|---|--:|", ...rows.map(([what, value]) => `| ${what} | ${value} |`)].join("\n"));

/** What one file has, by its syntax tree. */
function shapeOf({ file, text }) {
  const { program, comments } = parseSync(file, text);
  const found = { lines: text.split("\n").length - 1, codeLines: 0, classes: 0, exports: 0, requests: 0 };
  let code = text;
  for (const { start, end } of comments) {
    code = code.slice(0, start) + code.slice(start, end).replace(/[^\n]/g, " ") + code.slice(end);
  }
  found.codeLines = code.split("\n").filter((line) => line.trim() !== "").length;
  const note = (key) => {
    if (/^(base)?requests(InForce)?$/i.test(key?.name ?? "")) found.requests++;
  };
  const member = (node) => note(node.key);
  new Visitor({
    ClassDeclaration: () => found.classes++,
    ClassExpression: () => found.classes++,
    ExportNamedDeclaration: ({ declaration, specifiers, source }) => {
      // A name that is handed on is counted where it is made.
      if (source !== null) return;
      found.exports += specifiers.length + (declaration?.declarations?.length ?? (declaration === null ? 0 : 1));
    },
    PropertyDefinition: member,
    MethodDefinition: member,
    TSPropertySignature: member,
    TSParameterProperty: ({ parameter }) => note(parameter),
  }).visit(program);
  return found;
}

function linesOutside() {
  const files = run("git", ["-C", checkout, "ls-files"]).trimEnd().split("\n");
  return files
    .filter((file) => !/^(src|test)\//.test(file) && existsSync(join(checkout, file)))
    .reduce((lines, file) => lines + readFileSync(join(checkout, file), "utf8").split("\n").length - 1, 0);
}

/** The packages whose code a new process runs when it imports the package, and how long that takes. */
function imported() {
  const entry = JSON.stringify(pathToFileURL(join(checkout, "dist/index.js")).href);
  const program = `
    import { Session } from "node:inspector";
    const session = new Session();
    const found = new Set();
    session.connect();
    session.on("Debugger.scriptParsed", ({ params }) => {
      const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)\\/(?!.*node_modules)/.exec(params.url)?.[1];
      if (name !== undefined) found.add(name);
    });
    session.post("Debugger.enable");
    await import(${entry});
    console.log(JSON.stringify([...found].sort()));`;
  const timed = `
    const startMs = performance.now();
    await import(${entry});
    console.log(performance.now() - startMs);`;
  const output = (text) => run(process.execPath, ["--input-type=module", "--eval", text]);
  const times = Array.from({ length: IMPORTS }, () => Number(output(timed))).sort((a, b) => a - b);
  return { packages: JSON.parse(output(program)), ms: times[IMPORTS >> 1] };
}

function run(command, args) {
  return execFileSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 26 });
}

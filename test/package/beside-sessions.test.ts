import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SHARED_MS, sharedPackage } from "../shared/shared.js";
import { compileAll } from "./packed.js";

// Inside the repository's own node_modules, so that the packages that are stood beside are found.
const modules = fileURLToPath(new URL("../../node_modules/", import.meta.url));

const express = (lines: string) => `
import { Security } from "cello";
import { cello, isSecured } from "cello/express";
import express from "express";
const app = express();
app.use(cello(new Security({ jwt: { secret: "x" } })));
app.get("/", (request, response) => {
  const sub: string | undefined = request.claims?.sub;
  const ip: string = request.clientIp;
  response.json({ sub, ip });
  ${lines}
});`;

const fastify = (lines: string) => `
import { App, Security } from "cello";
import { cello } from "cello/fastify";
import fastify from "fastify";
const server = fastify();
server.register(cello, { security: new Security() });
server.get("/", { auth: "optional" }, async (request) => {
  const sub: string | undefined = request.claims?.sub;
  ${lines}
  return sub;
});
new App<{ session: { userId: string } }>().get("/", (request) => {
  const userId: string | undefined = request.session.get("userId");
  return userId;
});`;

const programs: Record<string, string> = {
  "Express alone": express('const user: unknown = request.session.get("user");'),
  "express-session": `import "express-session";
declare module "express-session" { interface SessionData { views: number } }
${express("request.session.views = 1; request.session.cookie.maxAge = 1;")}`,
  "express-session, after ours": `${express("request.session.save(() => {});")}
import session from "express-session";
app.use(session({ secret: "x", resave: false, saveUninitialized: false }));`,
  "express-session, and our session where the middleware stood": `import "express-session";
${express('if (isSecured(request)) { const user: unknown = request.session.get("user"); }')}`,
  "cookie-session": `import cookieSession from "cookie-session";
${express("if (request.session) request.session.views = 1; request.session = null;")}
app.use(cookieSession({ secret: "x" }));`,
  "passport on our sessions": `import passport from "passport";
${express('request.logout(() => {}); const user: unknown = request.session.get("user");')}
app.use(passport.session());`,
  "passport on express-session": `import passport from "passport";
import "express-session";
${express("request.logout(() => {}); request.session.save();")}
app.use(passport.session());`,
  "Fastify alone": fastify('const user: unknown = request.session.get("user");'),
  "@fastify/session": `import session from "@fastify/session";
declare module "fastify" { interface Session { views: number } }
${fastify("request.session.views = 1;")}
server.register(session, { secret: "x" });`,
  "@fastify/secure-session": `import session from "@fastify/secure-session";
declare module "@fastify/secure-session" { interface SessionData { views: number } }
${fastify("const changed: boolean = request.session.changed;")}
server.register(session, { key: Buffer.alloc(32) });`,
};

describe("the declarations of the packed package", () => {
  const work = mkdtempSync(join(modules, ".cello-beside-"));
  const fileOf = (name: string) => join(work, `${name.replaceAll(/\W/g, "-")}.ts`);
  let problems: ReadonlyMap<string, string>;

  beforeAll(async () => {
    mkdirSync(join(work, "node_modules"));
    symlinkSync((await sharedPackage()).folder, join(work, "node_modules/cello"), "dir");
    writeFileSync(join(work, "package.json"), JSON.stringify({ private: true, type: "module" }));
    for (const [name, text] of Object.entries(programs)) writeFileSync(fileOf(name), text);
    const compilerOptions = {
      target: "es2022",
      // The declarations of browsers are most of the work, and none of it is about sessions.
      lib: ["es2023"],
      module: "nodenext",
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: ["node"],
    };
    const projects = Object.keys(programs).map((name) => ({ compilerOptions, files: [fileOf(name)] }));
    problems = await compileAll(work, projects);
  }, SHARED_MS);

  afterAll(() => {
    rmSync(work, { recursive: true, force: true });
  });

  it.each(Object.keys(programs))("compile in one program with %s, and library files are checked too", (name) => {
    expect(problems.get(fileOf(name)) ?? "").toBe("");
  });

  it("have no fault in a library file", () => {
    const files = Object.keys(programs).map(fileOf);
    expect([...problems].filter(([file]) => !files.includes(file))).toEqual([]);
  });
});

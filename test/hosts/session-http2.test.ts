import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type OutgoingHttpHeaders } from "node:http2";
import { request as requestOverTls } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "cello";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
let folder: string;
let app: App;
let url: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cello-tls-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => app.close());

async function start(protocol: "tls" | "clear"): Promise<void> {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", cert, ...subject], {
    stdio: "pipe",
  });
  const https = { key: readFileSync(key), cert: readFileSync(cert), allowHTTP1: true };
  app = new App(protocol === "tls" ? { http2: true, https } : { http2: true });
  app.enableSession({ secret, secure: "auto" });
  app.post("/login", (request) => {
    request.session.set("userId", "u1");
    return { ok: true };
  });
  app.get("/me", (request) => ({ userId: request.session.get("userId") ?? null }));
  url = await app.listen({ port: 0, host: "127.0.0.1" });
}

/** One request over HTTP/2, with as many Cookie fields as are given. */
function send(headers: OutgoingHttpHeaders) {
  const client = connect(url, { rejectUnauthorized: false });
  return new Promise<{ headers: Record<string, unknown>; body: string }>((resolve, reject) => {
    client.on("error", reject);
    const stream = client.request(headers);
    let answered: Record<string, unknown> = {};
    let body = "";
    stream.setEncoding("utf8");
    stream.on("response", (given) => {
      answered = { ...given };
    });
    stream.on("data", (text: string) => {
      body += text;
    });
    stream.on("end", () => resolve({ headers: answered, body }));
    stream.end();
  }).finally(() => client.close());
}

describe.each(["tls", "clear"] as const)("sessions over HTTP/2 (%s)", (protocol) => {
  it("are found in Cookie fields that were split, and keep answers private", async () => {
    await start(protocol);
    const login = await send({ ":path": "/login", ":method": "POST" });
    expect(login.headers["cache-control"]).toBe("no-store");
    const setCookie = String(login.headers["set-cookie"]);
    expect(/; Secure;/.test(setCookie)).toBe(protocol === "tls");
    const me = await send({ ":path": "/me", cookie: ["a=1", setCookie.split(";")[0] ?? "", "b=2"] });
    expect(JSON.parse(me.body)).toEqual({ userId: "u1" });
    expect(me.headers["cache-control"]).toBe("private");
  });
});

describe("sessions over HTTP/1.1 and TLS", () => {
  it("have a secure cookie where secure is auto", async () => {
    await start("tls");
    const setCookie = await new Promise<string>((resolve, reject) => {
      const sent = requestOverTls(`${url}/login`, { method: "POST", rejectUnauthorized: false }, (response) => {
        response.resume();
        resolve(String(response.headers["set-cookie"]));
      });
      sent.on("error", reject);
      sent.end();
    });
    expect(setCookie).toMatch(/; Path=\/; Secure; HttpOnly; SameSite=Lax$/);
  });
});

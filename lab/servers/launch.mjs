// Starts the server that the settings in LAB_SETTINGS name, prints its port, then the limits in force four
// times a second, each as a line of JSON. Not over HTTP: that way is protected, and busy.
import { startServer } from "./protections.mjs";
import { createWork } from "./works.mjs";

const REPORT_EVERY_MS = 250;

const settings = JSON.parse(process.env.LAB_SETTINGS ?? "{}");
const { port, limits } = await startServer(settings, createWork(settings.work, settings.amount));
process.stdout.write(`${JSON.stringify({ port })}\n`);
setInterval(() => process.stdout.write(`${JSON.stringify({ atMs: Date.now(), ...limits() })}\n`), REPORT_EVERY_MS);

// A server must not outlive the lab that started it, however that one ended.
process.stdin.resume();
process.stdin.on("end", () => process.exit());

// node launch.mjs <server>: starts servers/<server>.mjs with the settings in BENCH_SETTINGS and prints its port.
import { executionAsyncResource } from "node:async_hooks";

// Node 20 makes an object in every nextTick(). When a full collection happens to find none of them alive
// while the modules load, V8 forgets their shape and makes them the slow way ever after: 3 us a request,
// for some servers and not for others. One that is kept alive keeps the shape, and all start alike.
const kept = [];
process.nextTick(() => kept.push(executionAsyncResource()));
process.nextTick((_one) => kept.push(executionAsyncResource()), 1);
await new Promise((resolve) => setTimeout(resolve, 1));

const [name] = process.argv.slice(2);
const { start } = await import(new URL(`${name}.mjs`, import.meta.url).href);
const port = await start(JSON.parse(process.env.BENCH_SETTINGS ?? "{}"));
process.stdout.write(`${JSON.stringify({ port })}\n`);

// A server must not outlive the benchmark that started it, however that one ended.
process.stdin.resume();
process.stdin.on("end", () => {
  kept.length = 0;
  process.exit();
});

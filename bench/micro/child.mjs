// node --expose-gc child.mjs '{"group":...,"contender":...,"mode":"time"|"bytes"|"once",...}'
// Measures one contender in a process of its own, so that no other's types and garbage are in its way.
const plan = JSON.parse(process.argv[2]);
const { contenders } = await import(new URL(`contenders/${plan.group}.mjs`, import.meta.url).href);
const make = contenders[plan.contender];
if (make === undefined) throw new Error(`no contender "${plan.contender}" in ${plan.group}`);
const contender = await make({ ...plan.params, contender: plan.contender });
await contender.check?.();
const value = plan.mode === "bytes" ? await bytesPerKey() : await nanosecondsPerOp();
process.stdout.write(`${JSON.stringify({ value })}\n`);
process.exit();

async function bytesPerKey() {
  const before = await heldBytes();
  await contender.fill();
  const held = (await heldBytes()) - before;
  // Used once more, so that nothing could be collected before it was weighed.
  await contender.keep("192.0.2.1");
  return held / plan.params.keys;
}

async function heldBytes() {
  for (let count = 0; count < 4; count++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function nanosecondsPerOp() {
  await contender.fill?.();
  contender.prepare?.();
  globalThis.gc();
  const { op, isAsync } = contender;
  const run = isAsync ? runAsync : runSync;
  const chunk = plan.mode === "once" ? 1 : 500;
  await run(op, chunk, plan.warmupMs, 0);
  const before = process.cpuUsage();
  const turns = await run(op, chunk, plan.measureMs, 1_000);
  // Computing time of all threads: unlike the clock on the wall it stands still while others have the core.
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / turns;
}

function runSync(op, chunk, milliseconds, first) {
  const endMs = performance.now() + milliseconds;
  let turns = 0;
  do {
    for (let count = 0; count < chunk; count++) sink(op(first + turns++));
  } while (performance.now() < endMs);
  return turns;
}

async function runAsync(op, chunk, milliseconds, first) {
  const endMs = performance.now() + milliseconds;
  let turns = 0;
  do {
    for (let count = 0; count < chunk; count++) sink(await op(first + turns++));
  } while (performance.now() < endMs);
  return turns;
}

/** Results must be used, or the compiler may leave their making out. */
function sink(value) {
  if (value === sink) throw new Error("never");
}

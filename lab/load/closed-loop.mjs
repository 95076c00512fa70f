// Closed-loop load: each connection sends its next request as soon as it has its answer. Good for "how much
// can it do", no good for latencies under overload.
import { Connection } from "./connection.mjs";

export function runClosedLoop(plan) {
  const countFromMs = performance.now() + plan.warmupSeconds * 1000;
  const endMs = countFromMs + plan.seconds * 1000;
  const connections = new Set();
  let answered = 0;
  let others = 0;

  function sendOn(connection) {
    connection.send((status) => {
      const nowMs = performance.now();
      if (nowMs >= endMs) return;
      if (nowMs >= countFromMs && status >= 200 && status <= 299) answered++;
      else if (nowMs >= countFromMs) others++;
      if (connection.isOpen) return sendOn(connection);
      connections.delete(connection);
      setTimeout(open, 10);
    });
  }
  function open() {
    const connection = new Connection(plan.port, undefined);
    connections.add(connection);
    sendOn(connection);
  }

  for (let index = 0; index < plan.connections; index++) open();
  return new Promise((resolve) => {
    // It never sleeps: to wake a sleeper is work that the server would pay for inside its write().
    const spin = () => {
      if (performance.now() < endMs) return setImmediate(spin);
      for (const connection of connections) connection.close();
      resolve({ perSecond: answered / plan.seconds, others });
    };
    spin();
  });
}

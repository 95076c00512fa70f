// Frames in a card's stage, and what they say.

/** Puts a frame into the stage and waits until it has loaded. */
export async function openFrame(stage, { src, title, className = "", sandbox }) {
  const frame = document.createElement("iframe");
  frame.title = title;
  frame.className = className;
  if (sandbox !== undefined) frame.setAttribute("sandbox", sandbox);
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  frame.src = src;
  stage.append(frame);
  await loaded;
  return frame;
}

/** Collects the messages that come in while something runs. */
export async function collectMessages(run) {
  const messages = [];
  const listen = ({ data, source }) => messages.push({ data, source });
  addEventListener("message", listen);
  try {
    await run();
  } finally {
    removeEventListener("message", listen);
  }
  return messages;
}

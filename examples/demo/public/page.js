// On every page. A page that may not be framed never gets as far as this: the attack with frames
// listens for the message, and its verdict rests on its absence.
if (window.top !== window) window.top.postMessage({ kind: "shown", path: location.pathname }, "*");

// Sees to it that the programs that the tests run are there; on Debian and its kin it installs them.
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What the tests run besides Node: any one of the commands will do. */
const requirements = [
  { debianPackage: "redis-server", commands: ["redis-server"] },
  { debianPackage: "openssl", commands: ["openssl"] },
  {
    // Without a window it needs half of the computing time; older releases of Debian have it in one package.
    debianPackage: "chromium-headless-shell|chromium",
    commands: ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
  },
];

const installer = fileURLToPath(new URL("./install-debian-packages.sh", import.meta.url));

/**
 * Installs what is missing, or throws an Error that says what to install by hand.
 * @returns {void}
 */
export function ensureTestPrograms() {
  const missing = requirements.filter(({ commands }) => !commands.some(isOnPath)).map((entry) => entry.debianPackage);
  if (missing.length === 0) return;
  const names = missing.map((one) => one.split("|").at(-1));
  const list = names.join(" ");
  if (!isOnPath("apt-get")) {
    throw new Error(
      `the tests need ${names.join(" and ")}, and this system has no apt-get to install them with. Install them ` +
        'with your system\'s package manager so that the commands are on the PATH ("redis-server", "openssl", and one of ' +
        '"chromium", "chromium-browser", "google-chrome"). Tests that need none: npm run test:unit -- src',
    );
  }
  const command = withRootRights(["sh", installer, ...missing]);
  if (command === undefined) {
    throw new Error(`the tests need ${names.join(" and ")}. Run as root: apt-get install ${list}`);
  }
  console.info(`Installing what the tests need: ${list}`);
  const [file, ...args] = command;
  const { status, error } = spawnSync(file, args, { stdio: "inherit" });
  if (status !== 0) {
    throw new Error(`installing ${list} failed (${error?.message ?? `exit code ${status}`}); its output is above`);
  }
}

/** The command as root would run it; undefined when we are not root and there is no sudo. */
function withRootRights(command) {
  if (process.getuid?.() === 0) return command;
  return isOnPath("sudo") ? ["sudo", ...command] : undefined;
}

function isOnPath(command) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });
}

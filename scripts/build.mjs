// "npm run build": dist/ anew from src/, and the command made executable.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(relative, new URL("../", import.meta.url)));

// A file that was removed from src/ must not linger in the package.
rmSync(path("dist"), { recursive: true, force: true });
const compiler = [path("node_modules/typescript/bin/tsc"), "-p", path("tsconfig.build.json")];
process.exitCode = spawnSync(process.execPath, compiler, { stdio: "inherit" }).status ?? 1;

// npm sets this bit when it installs the package; here it lets one run dist/cli/main.js itself.
const command = path("dist/cli/main.js");
if (existsSync(command)) chmodSync(command, 0o755);

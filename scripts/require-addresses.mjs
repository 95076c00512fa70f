// Before a release: the addresses in package.json must lead somewhere. Until the project has a public home they are
// of the top-level domain "example", which nobody can own (RFC 2606 section 2).
import { readFileSync } from "node:fs";

const { homepage, repository, bugs } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const addresses = [homepage, repository.url, bugs.url];
const reserved = addresses.filter((address) => new URL(address.replace(/^git\+/, "")).hostname.endsWith(".example"));
if (reserved.length > 0) {
  console.error(
    `package.json: give the addresses of the project's home before it is published: ${reserved.join(", ")}`,
  );
  process.exitCode = 1;
}

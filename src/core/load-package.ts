import { createRequire } from "node:module";
import { ConfigError } from "./errors.js";

/**
 * Loads a package that few applications need, at the moment when one does. `import()` would give a promise,
 * and what needs these packages answers at once.
 *
 * @param path the package, or a module of it
 * @param need completes "cannot be loaded, and ..."
 * @throws ConfigError when it is not there, as in a bundle that left it out
 */
export function loadPackage<Module>(path: string, need: string, mend: string): Module {
  try {
    // The caller names the module's type.
    return createRequire(import.meta.url)(path) as Module;
  } catch {
    const [subject = path] = path.split("/");
    throw new ConfigError({ code: "CELLO_MISSING", subject, problem: `cannot be loaded, and ${need}`, mend });
  }
}

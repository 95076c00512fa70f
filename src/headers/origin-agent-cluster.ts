import { serializeBoolean } from "structured-headers";
import type { SecurityHeader } from "./security-header.js";

/**
 * `Origin-Agent-Cluster: ?1` (HTML, "Origin-keyed agent clusters"): the page shares no process memory with other
 * origins of its site, and gives up `document.domain`.
 */
export const originAgentCluster: SecurityHeader<{ readonly originAgentCluster: boolean | undefined }> = {
  name: "Origin-Agent-Cluster",
  field: "originAgentCluster",
  value: (config) => (config.originAgentCluster === true ? serializeBoolean(true) : undefined),
};

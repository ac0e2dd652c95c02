import { inventoryProblems } from "#shared/domain/inventory-problems.ts";
import type { Disk } from "#shared/protocol/inventory.ts";
import type { Source, Target } from "#shared/protocol/resources.ts";
import { bytes } from "#shared/units.ts";
import { oneLine, table } from "../terminal.ts";

/**
 * Sources or targets as a table for people, with the problems of their inventories below it. `column`: one
 * more.
 */
export function agentTable<T extends Source | Target>(
  agents: T[],
  none: string,
  column?: { heading: string; of: (agent: T) => string },
): string {
  const rows = agents.map((agent) => [
    agent.id,
    agent.name,
    presenceOf(agent),
    agent.lastSeenAt ?? "never",
    (agent.inventory?.disks ?? []).map(diskInWords).join(", ") || "-",
    ...(column ? [column.of(agent)] : []),
  ]);
  const problems = agents.flatMap(({ id, inventory }) =>
    inventory ? inventoryProblems(inventory).map((problem) => oneLine(`${id}: ${problem}`)) : [],
  );
  const headings = ["ID", "NAME", "PRESENCE", "LAST SEEN", "DISKS", ...(column ? [column.heading] : [])];
  const agentRows = table(headings, rows, none);
  return problems.length > 0 ? [agentRows, "", ...problems].join("\n") : agentRows;
}

/** With the path of a disk that the kernel names in another way. */
function diskInWords({ name, path, kind, sizeBytes, unreadable }: Disk): string {
  const place = kind === "device" && path !== `/dev/${name}` ? ` (${oneLine(path)})` : "";
  return `${name}${place} ${bytes(sizeBytes)}${unreadable === undefined ? "" : " (cannot be read)"}`;
}

function presenceOf(agent: Source | Target): string {
  if (agent.revokedAt) return "revoked";
  if (!("environment" in agent)) return agent.presence;
  if (agent.restartedAs) return `restarted as ${agent.restartedAs}`;
  if (agent.coldCloningReady) return `${agent.presence}, cold cloning ready`;
  return agent.environment === "boot-environment" ? `${agent.presence}, boot environment` : agent.presence;
}

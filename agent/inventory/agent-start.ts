import { type Inventory, UNKNOWN } from "#shared/protocol/inventory.ts";
import { type Machine, readText } from "../machine/machine.ts";

type AgentStart = Exclude<Inventory["agentStart"], undefined>;

/** Whether this agent starts again after a restart of the machine, as far as systemd knows. */
export async function collectAgentStart(machine: Machine): Promise<AgentStart> {
  const unit = unitOf((await readText(machine, "/proc/self/cgroup")) ?? "");
  if (unit?.endsWith(".scope")) return "by-hand";
  if (!unit?.endsWith(".service")) return UNKNOWN;
  const shown = await machine.run("systemctl", "show", "--property=MainPID,UnitFileState", unit);
  const properties = new Map(shown?.output.split("\n").map((line) => line.split("=", 2) as [string, string]));
  const own = (await machine.resolve("/proc/self"))?.replace("/proc/", "");
  // Another service's process may have started it: a shell that a person opened remotely, or a cron job.
  if (own === undefined || properties.get("MainPID") !== own) return UNKNOWN;
  const state = properties.get("UnitFileState") ?? "";
  if (state === "enabled") return "at-boot";
  return state === "disabled" || state === "transient" ? "by-hand" : UNKNOWN;
}

/**
 * The system's unit that contains a process, by its `/proc/PID/cgroup`; that of the unified hierarchy if
 * there are both.
 */
function unitOf(cgroups: string): string | undefined {
  const lines = cgroups.split("\n");
  const own =
    lines.find((line) => line.startsWith("0::")) ?? lines.find((line) => line.includes(":name=systemd:"));
  const parts = own?.split(":").slice(2).join(":").split("/") ?? [];
  // What a user's own manager starts does not belong to the system.
  if (parts.some((part) => /^user@.*\.service$/.test(part))) return undefined;
  return parts.find((part) => /\.(service|scope)$/.test(part));
}

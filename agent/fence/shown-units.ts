/** What systemd says of units, read with as few programs as possible: an outage waits for each of them. */
import { HypervisorFailedError } from "#shared/errors.ts";
import type { Systemctl } from "../hypervisor/qemu/service/systemctl.ts";

/** A unit's properties, and their values as systemctl prints them. */
export type ShownUnit = ReadonlyMap<string, string>;

/**
 * Asks for the properties of all units at once, and, if that fails, of each alone, so that one which systemd
 * refuses hides no other. Resolves with what it shows of each unit, or why it shows nothing. `properties`: at
 * least one that no unit lacks, such as `Id` or `ActiveState`.
 */
export async function shownUnits(
  units: readonly string[],
  properties: readonly string[],
  systemctl: Systemctl,
): Promise<Map<string, ShownUnit | Error>> {
  const show = async (...some: string[]) =>
    blocksOf(await systemctl("show", `--property=${properties.join(",")}`, ...some));
  const together = units.length < 2 ? [] : await show(...units).catch(() => []);
  if (together.length === units.length)
    return new Map(units.map((unit, index) => [unit, together[index] as ShownUnit]));
  const shown = new Map<string, ShownUnit | Error>();
  for (const unit of units) {
    const alone = await show(unit).catch((error: unknown) => error as Error);
    if (alone instanceof Error) shown.set(unit, alone);
    else shown.set(unit, alone[0] ?? new HypervisorFailedError(`systemd shows nothing of ${unit}`));
  }
  return shown;
}

/** systemctl separates what it shows of several units by an empty line. */
function blocksOf(output: string): ShownUnit[] {
  const blocks = output.trim() === "" ? [] : output.trim().split(/\n{2,}/);
  return blocks.map((block) => {
    const lines = block.split("\n").map((line) => /^([^=]+)=(.*)$/.exec(line));
    return new Map(lines.flatMap((line) => (line ? [[line[1] ?? "", line[2] ?? ""]] : [])));
  });
}

/** By its `ActiveState`. One that is being stopped may be in a restart, or write its last data. */
export function isActive(unit: ShownUnit): boolean {
  return !["inactive", "failed"].includes(unit.get("ActiveState") ?? "");
}

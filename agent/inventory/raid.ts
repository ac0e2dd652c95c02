import { type RaidArray, UNKNOWN } from "#shared/protocol/inventory.ts";
import { clip, type Machine, readNumber, readText } from "../machine/machine.ts";
import type { Mounts } from "../machine/mounts.ts";
import { probeDevice } from "./disks.ts";

const SECTOR_BYTES = 512;

/** The machine's md arrays as the kernel sees them; mdadm is needed for the UUID. */
export async function collectRaidArrays(machine: Machine, mounts: Mounts): Promise<RaidArray[]> {
  const arrays: RaidArray[] = [];
  for (const name of await machine.list("/sys/block")) {
    if (/^md(?:_|\d)/.test(name)) arrays.push(await describe(machine, mounts, name));
  }
  return arrays.slice(0, 64);
}

async function describe(machine: Machine, mounts: Mounts, name: string): Promise<RaidArray> {
  const sys = `/sys/block/${name}`;
  const path = `/dev/${name}`;
  const sectors = await readNumber(machine, `${sys}/size`);
  const degraded = await readNumber(machine, `${sys}/md/degraded`);
  const level = await readText(machine, `${sys}/md/level`);
  const members = (await machine.list(`${sys}/md`)).filter((entry) => entry.startsWith("dev-"));
  const details = (await machine.run("mdadm", "--detail", "--export", path))?.output ?? "";
  const uuid = /^MD_UUID=(\S+)$/m.exec(details)?.[1];
  return {
    name,
    path,
    level: level ? clip(level) : UNKNOWN,
    ...(uuid && { uuid: clip(uuid) }),
    sizeBytes: sectors === undefined ? UNKNOWN : sectors * SECTOR_BYTES,
    state: stateOf(await readText(machine, `${sys}/md/array_state`)),
    degraded: degraded === undefined ? UNKNOWN : degraded > 0,
    members: members.map((entry) => `/dev/${entry.slice("dev-".length).replaceAll("!", "/")}`).slice(0, 128),
    content: await probeDevice(machine, path),
    mountPoints: mounts.pointsOf(await readText(machine, `${sys}/dev`), [path]),
  };
}

/** The kernel's words: `clear` and `inactive` are not running; all others are. */
function stateOf(text: string | undefined): RaidArray["state"] {
  if (text === undefined) return UNKNOWN;
  return text === "clear" || text === "inactive" ? "inactive" : "active";
}

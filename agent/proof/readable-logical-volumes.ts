import type { LeftOut } from "#shared/protocol/proof.ts";
import { runGuestTool } from "../browse/guest/tool.ts";
import { kernelName, lvmReport } from "../browse/guest/volumes.ts";

const LVM = "/usr/sbin/lvm";

/** A logical volume that is active, and the kernel's name of its device. */
export interface ActiveVolume {
  /** `group/volume`. */
  name: string;
  device: string;
}

/**
 * Activates the logical volumes on these devices that are read from their disks as they are, and for which
 * nothing is written. `refused`: the others, and devices that LVM does not know.
 */
export async function activateReadable(
  members: readonly string[],
): Promise<{ active: ActiveVolume[]; refused: LeftOut[] }> {
  if (members.length === 0) return { active: [], refused: [] };
  await runGuestTool("/usr/sbin/modprobe", "dm_mod");
  const config = configFor(members);
  const { pv = [] } = await lvmReport("pvs", "pv_name,vg_name", ...config);
  const known = new Set(pv.map(({ pv_name }) => pv_name));
  const refused: LeftOut[] = members
    .map((device) => `/dev/${device}`)
    .filter((place) => !known.has(place))
    .map((place) => ({ place, why: "LVM does not know it" }));
  const active: ActiveVolume[] = [];
  const { lv = [] } = await lvmReport("lvs", "vg_name,lv_name,lv_path,lv_attr", ...config);
  for (const { vg_name, lv_name, lv_path, lv_attr } of lv) {
    if (lv_path === "") continue;
    const name = `${vg_name}/${lv_name}`;
    const why = whyNotRead(lv_attr) ?? (await changed("-ay", name, members));
    const device = why === undefined ? await kernelName(lv_path).catch(() => undefined) : undefined;
    if (device === undefined) refused.push({ place: name, why: why ?? "LVM could not activate it" });
    else active.push({ name, device });
  }
  return { active, refused };
}

/** Throws if LVM cannot. */
export async function deactivate(
  volumes: readonly ActiveVolume[],
  members: readonly string[],
): Promise<void> {
  for (const { name } of volumes) {
    const complaint = await changed("-an", name, members);
    if (complaint !== undefined) throw new Error(`${name} could not be deactivated: ${complaint}`);
  }
}

/** Other kinds keep something on the disks that is written when they start; `-`: linear or striped. */
export function whyNotRead(attributes: string | undefined): string | undefined {
  if (attributes?.startsWith("-")) return undefined;
  return "LVM could write to the disks when it starts a volume of this kind";
}

/** Copies of these disks may be attached: LVM must not see them. `readOnly`: a volume not to write to. */
function configFor(members: readonly string[], readOnly?: string): string[] {
  const accepted = members.map((device) => `"a|^/dev/${device}$|"`).join(", ");
  const parts = [
    `devices { filter = [ ${accepted}, "r|.*|" ] }`,
    "global { metadata_read_only = 1 }",
    ...(readOnly === undefined ? [] : [`activation { read_only_volume_list = [ "${readOnly}" ] }`]),
  ];
  return ["--config", parts.join(" ")];
}

/** The complaint, if there is one. */
async function changed(
  change: "-ay" | "-an",
  name: string,
  members: readonly string[],
): Promise<string | undefined> {
  const config = configFor(members, name);
  const { succeeded, complaint } = await runGuestTool(LVM, "lvchange", change, ...config, name);
  return succeeded ? undefined : complaint || "LVM has failed";
}

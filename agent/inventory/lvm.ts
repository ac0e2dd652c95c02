import * as z from "zod";
import { type LogicalVolume, UNKNOWN, type VolumeGroup } from "#shared/protocol/inventory.ts";
import { clip, type Machine, readText } from "../machine/machine.ts";
import { mappedVolume } from "../machine/mapped-volume.ts";
import type { Mounts } from "../machine/mounts.ts";
import { probeDevice } from "./disks.ts";

const REPORT_OPTIONS = ["--reportformat", "json", "--units", "b", "--nosuffix", "-o"];
const Count = z.coerce.number().int().nonnegative();

const Report = z.object({
  report: z.array(
    z.object({
      vg: z
        .array(
          z.object({
            vg_name: z.string(),
            vg_uuid: z.string(),
            vg_size: Count,
            vg_free: Count,
            vg_extent_size: Count,
          }),
        )
        .optional(),
      pv: z.array(z.object({ pv_name: z.string(), vg_name: z.string() })).optional(),
      lv: z
        .array(
          z.object({
            vg_name: z.string(),
            lv_name: z.string(),
            lv_path: z.string(),
            lv_size: Count,
            lv_layout: z.string(),
          }),
        )
        .optional(),
    }),
  ),
});
type Report = z.infer<typeof Report>["report"][number];

/** The machine's volume groups; `undefined` if LVM's tools are not installed. */
export async function collectVolumeGroups(
  machine: Machine,
  mounts: Mounts,
): Promise<VolumeGroup[] | undefined> {
  const report = async (command: string, fields: string): Promise<Report | undefined> => {
    const result = await machine.run(command, ...REPORT_OPTIONS, fields);
    return result && parseLvmReport(result.output);
  };
  const groups = await report("vgs", "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size");
  const physical = await report("pvs", "pv_name,vg_name");
  const logical = await report("lvs", "vg_name,lv_name,lv_path,lv_size,lv_layout");
  if (!groups || !physical || !logical) return undefined;
  const volumeGroups: VolumeGroup[] = [];
  for (const vg of (groups.vg ?? []).slice(0, 64)) {
    const logicalVolumes: LogicalVolume[] = [];
    for (const lv of (logical.lv ?? []).filter((each) => each.vg_name === vg.vg_name).slice(0, 128)) {
      logicalVolumes.push(await describeVolume(machine, mounts, lv));
    }
    volumeGroups.push({
      name: vg.vg_name,
      uuid: vg.vg_uuid,
      sizeBytes: vg.vg_size,
      freeBytes: vg.vg_free,
      extentBytes: vg.vg_extent_size,
      physicalVolumes: (physical.pv ?? [])
        .filter((pv) => pv.vg_name === vg.vg_name)
        .map((pv) => pv.pv_name)
        .slice(0, 128),
      logicalVolumes,
    });
  }
  return volumeGroups;
}

async function describeVolume(
  machine: Machine,
  mounts: Mounts,
  lv: NonNullable<Report["lv"]>[number],
): Promise<LogicalVolume> {
  // Pools have no path, because nothing can be mounted from them.
  const path = lv.lv_path || `/dev/${lv.vg_name}/${lv.lv_name}`;
  const device = (await machine.resolve(path)) ?? path;
  const mapperPath = mappedVolume(lv.vg_name, lv.lv_name);
  const number = await readText(machine, `/sys/class/block/${device.slice("/dev/".length)}/dev`);
  return {
    name: lv.lv_name,
    path,
    sizeBytes: lv.lv_size,
    layout: clip(lv.lv_layout) || UNKNOWN,
    content: await probeDevice(machine, path),
    mountPoints: mounts.pointsOf(number, [path, device, mapperPath]),
  };
}

/** The report that a command printed as JSON; an empty report if it printed anything else. */
export function parseLvmReport(output: string): Report {
  try {
    return Report.parse(JSON.parse(output)).report[0] ?? {};
  } catch {
    return {};
  }
}

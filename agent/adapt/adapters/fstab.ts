import type { Adapter } from "../adapter.ts";
import { adaptedTable, type DeviceTable } from "../device-table.ts";

const TABLE: DeviceTable = {
  path: "/etc/fstab",
  entry: /^(\s*)([^\s#]\S*)\s+(\S+)\s+\S/,
  unknown: (device, place) => `mounts ${device} at ${place}`,
};

/** `/etc/fstab`: a system stops at its start if a device that is named there does not appear. */
export const fstab: Adapter = { reads: [TABLE.path], adapt: (system) => adaptedTable(TABLE, system) };

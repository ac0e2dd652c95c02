import type { Adapter } from "../adapter.ts";
import { adaptedTable, type DeviceTable } from "../device-table.ts";

const TABLE: DeviceTable = {
  path: "/etc/crypttab",
  entry: /^(\s*[^\s#]\S*\s+)(\S+)/,
  // The programs that read this file know `PARTUUID=` only since systemd 236.
  nameOf: (name) => name.replace(/^PARTUUID=/, "/dev/disk/by-partuuid/"),
  unknown: (device) => `unlocks ${device}`,
};

/** `/etc/crypttab`, which the initramfs contains, too. */
export const crypttab: Adapter = {
  reads: [TABLE.path],
  adapt(system) {
    const { edits, notes } = adaptedTable(TABLE, system);
    return { edits, notes, rebuild: edits.map(() => ({ why: `it contains ${TABLE.path}` })) };
  },
};

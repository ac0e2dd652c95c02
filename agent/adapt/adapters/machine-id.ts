import type { Adapter } from "../adapter.ts";
import { textOf } from "../captured-system.ts";

const PATH = "/etc/machine-id";
const COPY = "/var/lib/dbus/machine-id";

/** A new machine id, made by systemd at the next start; an empty file does not count as a first start. */
export const machineId: Adapter = {
  reads: [PATH, COPY],
  adapt(system, { machineId: wanted }) {
    if (wanted === "kept" || !textOf(system, PATH)) return {};
    const why = "two machines with one id disturb each other: DHCP leases, journals, clusters";
    return {
      edits: [
        { path: PATH, after: Buffer.alloc(0), why },
        ...(textOf(system, COPY) ? [{ path: COPY, why }] : []),
      ],
    };
  },
};

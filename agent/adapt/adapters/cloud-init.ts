import type { Adaptation, Adapter } from "../adapter.ts";
import { textOf } from "../captured-system.ts";

const MAIN = "/etc/cloud/cloud.cfg";
const OWN = "/etc/cloud/cloud.cfg.d/99-zz-causeway.cfg";
const TEXT = [
  "# This machine was cloned with its network, its name and its host keys: cloud-init leaves them alone.",
  "network: {config: disabled}",
  "preserve_hostname: true",
  "ssh_deletekeys: false",
  "",
].join("\n");

/** cloud-init takes new hardware for a new machine: it would configure network, name and keys again. */
export const cloudInit: Adapter = {
  reads: [MAIN, OWN],
  adapt(system): Adaptation {
    if (textOf(system, MAIN) === undefined) return {};
    const why = "cloud-init takes new hardware for a new machine, and would replace its network and its keys";
    return { edits: [{ path: OWN, after: Buffer.from(TEXT), why }] };
  },
};

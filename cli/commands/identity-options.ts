import type { SystemIdentity } from "#shared/protocol/wanted-machine.ts";
import type { CliCall, CliCommand } from "../command.ts";

/** What of a system's identity is new once it is adapted: the options that commands which adapt one share. */
export const IDENTITY_HELP: [string, string][] = [
  [
    "--new-machine-id",
    "the adapted system makes a machine id of its own, as one that runs beside its source needs; DHCP may give it other addresses (default: kept)",
  ],
  [
    "--new-host-keys",
    "the adapted system gets new SSH host keys, as one needs that runs beside its source, or whose keys others may have; SSH clients warn of them (default: kept)",
  ],
];

export const IDENTITY_OPTIONS = {
  "new-machine-id": { type: "boolean" },
  "new-host-keys": { type: "boolean" },
} as const satisfies CliCommand["options"];

/** What the options of `IDENTITY_OPTIONS` ask for. */
export function identityFields({ values }: CliCall): SystemIdentity {
  return {
    machineId: values["new-machine-id"] === true ? "new" : "kept",
    hostKeys: values["new-host-keys"] === true ? "new" : "kept",
  };
}

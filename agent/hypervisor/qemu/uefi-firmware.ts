import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { ToolMissingError } from "#shared/errors.ts";

/**
 * Where distributions keep the UEFI firmware for virtual machines: code, and the template of its variables.
 */
const UEFI_FIRMWARE: readonly { code: string; variables: string }[] = [
  { code: "/usr/share/OVMF/OVMF_CODE_4M.fd", variables: "/usr/share/OVMF/OVMF_VARS_4M.fd" },
  { code: "/usr/share/OVMF/OVMF_CODE.fd", variables: "/usr/share/OVMF/OVMF_VARS.fd" },
  { code: "/usr/share/edk2/ovmf/OVMF_CODE.fd", variables: "/usr/share/edk2/ovmf/OVMF_VARS.fd" },
  { code: "/usr/share/edk2/x64/OVMF_CODE.4m.fd", variables: "/usr/share/edk2/x64/OVMF_VARS.4m.fd" },
];

/** The files with which this host can run UEFI guests; throws `ToolMissingError` if there are none. */
export async function findUefiFirmware(): Promise<{ code: string; variables: string }> {
  for (const candidate of UEFI_FIRMWARE) {
    if ((await isReadable(candidate.code)) && (await isReadable(candidate.variables))) return candidate;
  }
  throw new ToolMissingError("UEFI firmware for virtual machines", "ovmf");
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

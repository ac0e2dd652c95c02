import type { AgentVariables } from "../inventory/network-obstacles.ts";
import { type Machine, readFolder, readText } from "../machine/machine.ts";

/** Where administrators add authorities: Debian, Red Hat, SUSE, Arch. */
const FOLDERS = [
  "/usr/local/share/ca-certificates",
  "/etc/pki/ca-trust/source/anchors",
  "/etc/pki/trust/anchors",
  "/etc/ca-certificates/trust-source/anchors",
];
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
/** A job has room for this much of them. */
const MOST_BYTES = 512 * 1024;

/**
 * The certificate authorities that this machine trusts besides the usual ones, in PEM, each once: from
 * NODE_EXTRA_CA_CERTS, then from the system. Empty if there are none.
 */
export async function additionalAuthorities(machine: Machine, variables: AgentVariables): Promise<string> {
  const own = variables.NODE_EXTRA_CA_CERTS;
  const texts = [own ? ((await readText(machine, own)) ?? "") : ""];
  for (const folder of FOLDERS) texts.push(...(await readFolder(machine, folder)).map(({ text }) => text));
  let bundle = "";
  for (const certificate of new Set(texts.flatMap((text) => text.match(CERTIFICATE) ?? []))) {
    if (bundle.length + certificate.length < MOST_BYTES) bundle += `${certificate}\n`;
  }
  return bundle;
}

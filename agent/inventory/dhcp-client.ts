/**
 * The identity with which a machine requests its IPv4 address from DHCP servers: option 61, RFC 2132 and RFC
 * 4361.
 */
import { type InterfaceConfiguration, type NetworkInterface, UNKNOWN } from "#shared/protocol/inventory.ts";
import { type Machine, readText } from "../machine/machine.ts";

export interface DhcpInterface {
  name: string;
  index: number;
  macAddress?: string | undefined;
  source: InterfaceConfiguration["source"];
}

type ClientId = NonNullable<NetworkInterface["dhcpClientId"]>;

/** In hexadecimal; `none` for a client that sends none, `unknown` if no client of the machine tells. */
export async function findDhcpClientId(
  machine: Machine,
  port: DhcpInterface,
  programs: ReadonlyMap<string, unknown>,
): Promise<ClientId> {
  const lease = await readText(machine, `/run/systemd/netif/leases/${port.index}`);
  if (lease !== undefined) return hexOf(/^CLIENTID=(\S+)$/m.exec(lease)?.[1]) ?? "none";
  if (port.source === "network-manager") return fromNetworkManager(machine, port.name);
  const wicked = await readText(machine, `/var/lib/wicked/lease-${port.name}-dhcp-ipv4.xml`);
  if (wicked !== undefined) return hexOf(/<client-id>([^<]+)</.exec(wicked)?.[1]) ?? "none";
  if (programs.has("dhcpcd")) return UNKNOWN;
  if (programs.has("dhclient")) return fromDhclient(machine, port);
  // As busybox sends it: the hardware type, then the address.
  if (programs.has("udhcpc")) return hardwareId(port);
  return UNKNOWN;
}

async function fromNetworkManager(machine: Machine, name: string): Promise<ClientId> {
  const result = await machine.run("nmcli", "-t", "-f", "DHCP4", "device", "show", name);
  if (result?.status !== 0 || !result.output.includes("DHCP4")) return UNKNOWN;
  const value = /^DHCP4\.OPTION\[\d+\]:dhcp_client_identifier = (.+)$/m.exec(result.output)?.[1];
  return value === undefined ? "none" : (hexOf(value.replaceAll("\\:", ":")) ?? UNKNOWN);
}

async function fromDhclient(machine: Machine, port: DhcpInterface): Promise<ClientId> {
  const places = ["/etc/dhcp/dhclient.conf", "/etc/dhclient.conf", `/etc/dhcp/dhclient-${port.name}.conf`];
  const texts = await Promise.all(places.map((path) => readText(machine, path)));
  const statements = texts.flatMap((text) => [
    ...(text ?? "").matchAll(/^\s*send\s+dhcp-client-identifier\s*=?\s*([^;]+);/gm),
  ]);
  const value = statements.at(-1)?.[1]?.trim();
  // ifupdown passes its `client` on the command line.
  const interfaces = (await readText(machine, "/etc/network/interfaces")) ?? "";
  if (value === undefined) return /^\s+client(?:id)?\s/m.test(interfaces) ? UNKNOWN : "none";
  if (value === "hardware") return hardwareId(port);
  const text = /^"([^"\\]*)"$/.exec(value)?.[1];
  if (text !== undefined) return hexOf(Buffer.from(text, "latin1").toString("hex")) ?? UNKNOWN;
  return hexOf(value) ?? UNKNOWN;
}

function hardwareId({ macAddress }: DhcpInterface): ClientId {
  return (macAddress && hexOf(`01${macAddress}`)) || UNKNOWN;
}

/** Digits with or without colons between bytes, each of one or two digits. */
function hexOf(text: string | undefined): string | undefined {
  const parts = text?.trim().toLowerCase().split(":") ?? [];
  const hex = parts.map((part) => (part.length === 1 ? `0${part}` : part)).join("");
  return /^([0-9a-f]{2}){2,64}$/.test(hex) ? hex : undefined;
}

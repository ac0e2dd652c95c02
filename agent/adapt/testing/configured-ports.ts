/** Ports of a system, as each program's files configure them. */
import { plainOf, readYaml, type YamlValue } from "../addresses/yaml-text.ts";

export interface ConfiguredPort {
  name: string;
  /** `192.0.2.10/24`, the first that makes way and others that stay; none with DHCP. */
  addresses: string[];
  gateway?: string | undefined;
}

/** How one program's files say it, and what they say. */
export interface ConfigurationFormat {
  written(ports: readonly ConfiguredPort[], isAlternative: boolean): Record<string, string>;
  read(files: Record<string, string>, name: string): ConfiguredPort;
}

const perPort = (
  pathOf: (name: string) => string,
  textOf: (port: ConfiguredPort, isAlternative: boolean) => string,
  patterns: { addresses: RegExp; gateway: RegExp },
): ConfigurationFormat => ({
  written: (ports, isAlternative) =>
    Object.fromEntries(ports.map((port) => [pathOf(port.name), textOf(port, isAlternative)])),
  read(files, name) {
    const text = files[pathOf(name)] ?? "";
    const addresses = [...text.matchAll(patterns.addresses)].map(([, address = ""]) => address);
    return { name, addresses, gateway: patterns.gateway.exec(text)?.[1] };
  },
});

const networkd = perPort(
  (name) => `/etc/systemd/network/20-${name}.network`,
  ({ name, addresses, gateway }, isAlternative) =>
    [
      ...[`[Match]\nName=${name}\n\n[Link]\nMTUBytes=9000\n\n[Network]\n# ours`],
      addresses.length === 0 ? "DHCP=ipv4" : "LinkLocalAddressing=no",
      ...(isAlternative ? [] : addresses.map((one) => `Address=${one}`)),
      ...(gateway && !isAlternative ? [`Gateway=${gateway}`] : []),
      ...(isAlternative ? addresses.map((one) => `\n[Address]\nAddress=${one}`) : []),
      ...(gateway && isAlternative ? [`\n[Route]\nGateway=${gateway}\nMetric=5`] : []),
      "",
    ].join("\n"),
  { addresses: /^Address=(.*)$/gm, gateway: /^Gateway=(.*)$/m },
);

const keyfiles = perPort(
  (name) => `/etc/NetworkManager/system-connections/${name}.nmconnection`,
  ({ name, addresses, gateway }, isAlternative) =>
    [
      `[connection]\nid=${name}\ntype=ethernet\ninterface-name=${name}\n\n[ipv4]`,
      ...addresses.map(
        (one, at) => `address${at + 1}=${one}${gateway && at === 0 && !isAlternative ? `,${gateway}` : ""}`,
      ),
      ...(gateway && isAlternative ? [`gateway=${gateway}`] : []),
      `method=${addresses.length === 0 ? "auto" : "manual"}\n\n[ipv6]\nmethod=disabled\n`,
    ].join("\n"),
  { addresses: /^address\d+=([^,\n]*)/gm, gateway: /^(?:gateway=|address\d+=[^,\n]*,)(.*)$/m },
);

const INTERFACES = "/etc/network/interfaces";
const NETMASK = "255.255.255.0";

const ifupdown: ConfigurationFormat = {
  written: (ports, isAlternative) => ({
    [INTERFACES]: ports
      .map(({ name, addresses, gateway }) => {
        const stanzas = addresses.map((one, at) => {
          const mask = isAlternative && one.endsWith("/24") ? `\n\tnetmask ${NETMASK}` : "";
          const address = mask === "" ? one : one.replace("/24", "");
          const by = gateway && at === 0 ? `\n\tgateway ${gateway}` : "";
          return `iface ${name} inet static\n\taddress ${address}${mask}${by}\n\tmtu 9000\n`;
        });
        return `auto ${name}\n${stanzas.join("") || `iface ${name} inet dhcp\n`}\n`;
      })
      .join(""),
  }),
  read(files, name) {
    const stanzas = (files[INTERFACES] ?? "").split(/^(?=auto|iface)/m);
    const own = stanzas.filter((one) => one.startsWith(`iface ${name} inet static`));
    const gateways = own.flatMap((one) => /\sgateway (\S+)/.exec(one)?.[1] ?? []);
    const addresses = own.map((one) => {
      const [, address = "", mask] = /\saddress (\S+)(?:\n\tnetmask (\S+))?/.exec(one) ?? [];
      const bits = (mask ?? "").split(".").flatMap((byte) => [...Number(byte).toString(2)]);
      return mask === undefined ? address : `${address}/${bits.filter((bit) => bit === "1").length}`;
    });
    return { name, addresses, gateway: gateways[0] };
  },
};

const NETPLAN = "/etc/netplan/50-cloud-init.yaml";

const netplan: ConfigurationFormat = {
  written: (ports, isAlternative) => ({
    [NETPLAN]: `network:\n  version: 2\n  ethernets:\n${ports
      .map(({ name, addresses, gateway }) => {
        const list = isAlternative
          ? ` [${addresses.join(", ")}]\n`
          : `\n${addresses.map((one) => `    - '${one}'  # kept\n`).join("")}`;
        const route = isAlternative
          ? `    routes:\n      - {to: 10.0.0.0/8, via: 203.0.113.9}\n      - {to: default, via: ${gateway}}\n`
          : `    gateway4: ${gateway}\n`;
        const how = addresses.length === 0 ? "    dhcp4: true\n" : `    addresses:${list}`;
        return `   ${name}:\n${how}${gateway ? route : ""}    mtu: 9000\n`;
      })
      .join("")}`,
  }),
  read(files, name) {
    const { network } = plainOf(readYaml(files[NETPLAN] ?? "")) as Record<string, YamlValue>;
    const { ethernets } = network as Record<string, YamlValue>;
    const port = (ethernets as Record<string, Record<string, YamlValue>>)[name] ?? {};
    const routes = (port.routes ?? []) as Record<string, string>[];
    const via = routes.find(({ to }) => to === "default" || to === "0.0.0.0/0")?.via;
    return {
      name,
      addresses: port.dhcp4 === "true" ? [] : (port.addresses as string[]),
      gateway: via ?? (port.gateway4 as string | undefined),
    };
  },
};

export const FORMATS = { ifupdown, networkd, keyfiles, netplan };

import fc from "fast-check";
import { expect, test } from "vitest";
import { SystemAddress } from "#shared/protocol/new-address.ts";
import { AddressNotSetError } from "./addresses/asked-interface.ts";
import { type ConfiguredPort, FORMATS } from "./testing/configured-ports.ts";
import { movedTo, readdressed } from "./testing/new-addresses.ts";

const NAMES = ["ens192", "ens224", "eno1"];
const host = fc.integer({ min: 1, max: 125 });
const prefix = fc.constantFrom(16, 24, 25, 30);

/** A port whose addresses are in a network of its own. */
const port = (name: string, network: number) =>
  fc
    .record({
      hosts: fc.uniqueArray(host, { maxLength: 3 }),
      prefixLength: fc.constantFrom(24, 25),
      hasGateway: fc.boolean(),
    })
    .map(
      ({ hosts, prefixLength, hasGateway }): ConfiguredPort => ({
        name,
        addresses: hosts.map((one) => `10.9.${network}.${one}/${prefixLength}`),
        gateway: hosts.length > 0 && hasGateway ? `10.9.${network}.126` : undefined,
      }),
    );

const asked = fc
  .record({
    third: fc.integer({ min: 1, max: 250 }),
    last: host,
    prefixLength: prefix,
    hasGateway: fc.boolean(),
  })
  .map(({ third, last, prefixLength, hasGateway }) => ({
    ...{ address: `10.8.${third}.${last}`, prefixLength, nameServers: [] },
    gateway: hasGateway ? `10.8.${third}.${last % 2 === 0 ? last - 1 : last + 1}` : undefined,
  }))
  .filter((one) => SystemAddress.safeParse({ interface: "ens192", ...one }).success);

const case_ = fc.record({
  ports: fc.tuple(...NAMES.map(port)),
  place: fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
  isAlternative: fc.boolean(),
  asked,
});

test.each(Object.entries(FORMATS))(
  "%s: the files then say exactly the asked address, and of every other port what they said before",
  (_, format) => {
    fc.assert(
      fc.property(case_, ({ ports, place, isAlternative, asked: wanted }) => {
        const [first] = ports;
        if (!first) return;
        // A gateway that makes way needs another one.
        const gateway =
          first.gateway === undefined ? wanted.gateway : (wanted.gateway ?? nextTo(wanted.address));
        const [address, prefixLength] = (first.addresses[0] ?? "").split("/");
        const instead = address ? { address, prefixLength: Number(prefixLength) } : undefined;
        const before = format.written(
          place.flatMap((at) => ports[at] ?? []),
          isAlternative,
        );
        const machine = movedTo({ ...wanted, gateway, instead });
        const { files } = readdressed(before, machine);
        const after = { ...before, ...(files as Record<string, string>) };
        expect(format.read(after, first.name)).toEqual({
          name: first.name,
          addresses: [`${wanted.address}/${wanted.prefixLength}`, ...first.addresses.slice(1)],
          gateway,
        });
        for (const { name } of ports.slice(1))
          expect(format.read(after, name)).toEqual(format.read(before, name));
        expect(readdressed(after, machine).files).toEqual({});
      }),
    );
  },
);

function nextTo(address: string): string {
  const bytes = address.split(".").map(Number);
  const last = bytes[3] ?? 0;
  return [...bytes.slice(0, 3), last % 2 === 0 ? last - 1 : last + 1].join(".");
}

const word = fc.constantFrom(
  ...[
    "iface",
    "ens192",
    "inet",
    "inet6",
    "static",
    "dhcp",
    "address",
    "192.0.2.10/24",
    "gateway",
    "192.0.2.1",
  ],
  ...["netmask", "255.255.255.0", "up", "ip route add default via 192.0.2.1", "source", "auto", "\\", "#"],
  ...[
    "[Match]",
    "[Network]",
    "[Address]",
    "[Route]",
    "Name=ens192",
    "Name=en*",
    "DHCP=yes",
    "Address=192.0.2.10/24",
  ],
  ...["Gateway=192.0.2.1", "[connection]", "[ipv4]", "interface-name=ens192", "type=ethernet", "method=auto"],
  ...[
    "address1=192.0.2.10/24,192.0.2.1",
    "network:",
    "ethernets:",
    "ens192:",
    "dhcp4: true",
    "addresses:",
    "- ",
  ],
  ...[
    "[192.0.2.10/24]",
    "routes:",
    "to: default",
    "via: 192.0.2.1",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    ",",
    "&a",
    "|",
  ],
);
const line = fc
  .tuple(
    fc.constantFrom("", "  ", "    ", "      ", "\t"),
    fc.array(word, { maxLength: 4 }),
    fc.constantFrom(" ", ""),
  )
  .map(([indentation, words, between]) => indentation + words.join(between));
const text = fc.array(line, { maxLength: 12 }).map((lines) => lines.join("\n"));
const PATHS = [
  ...["/etc/network/interfaces", "/etc/systemd/network/a.network", "/etc/netplan/a.yaml"],
  "/etc/NetworkManager/system-connections/a",
];

test("whatever the files contain, the address is set so that nothing has to be changed again, or it is refused", () => {
  const machine = movedTo({ nameServers: ["192.0.2.53"] });
  fc.assert(
    fc.property(fc.constantFrom(...PATHS), text, (path, content) => {
      const before = { [path]: content };
      try {
        const { files } = readdressed(before, machine);
        const after = { ...before, ...(files as Record<string, string>) };
        expect(Object.values(after).join("\n")).toContain("192.0.2.20");
        expect(readdressed(after, machine).files).toEqual({});
      } catch (error) {
        if (!(error instanceof AddressNotSetError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { keptMachine } from "../testing/kept-machine.ts";
import { type DomainHost, domainXml, letters, poolXml } from "./domain.ts";

const host: DomainHost = { kvm: false, uefi: undefined, openVswitch: new Set() };
const UNESCAPED: Record<string, string> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
  "&amp;": "&",
};
const unescaped = (text: string) => text.replace(/&\w+;/g, (sign) => UNESCAPED[sign] ?? sign);

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom(
    "</title><devices><disk type='block'><source dev='/dev/sda'/></disk></devices><title>",
    "]]><!-- ",
    "&lt;&#0;&x;",
    '" onload="',
    "a\nb\u0000c\ud800",
    "$(reboot)`reboot`",
  ),
);

/** Its markup without any text or value. */
const skeleton = (xml: string) => xml.replace(/"[^"]*"/g, '""').replace(/>[^<]*</g, "><");

test("whatever the source and the folder are called, the document has the same elements and attributes", () => {
  const plain = keptMachine();
  fc.assert(
    fc.property(hostile, hostile, (title, folder) => {
      const disks = plain.disks.map((disk) => ({ ...disk, path: `/${folder}/${disk.name}` }));
      const xml = domainXml(keptMachine({ title: `t${title}`, folder, disks }), host);
      expect(skeleton(xml)).toBe(skeleton(domainXml(keptMachine(), host)));
      expect(skeleton(poolXml({ ...plain, folder: `/${folder}` }))).toBe(skeleton(poolXml(plain)));
    }),
    { numRuns: 500 },
  );
});

test("a text of allowed characters is the same when the document is read again", () => {
  const allowed = fc.string({ maxLength: 40 }).map((text) => text.replace(/\s/g, "_"));
  fc.assert(
    fc.property(allowed, (title) => {
      const xml = domainXml(keptMachine({ title: `t${title}` }), host);
      expect(unescaped(/<title>(.*)<\/title>/.exec(xml)?.[1] ?? "")).toBe(`t${title}`);
    }),
  );
});

test("the boot disk alone has a place in the boot order, wherever it is among the disks", () => {
  const xml = domainXml(keptMachine(), host);
  expect(xml.match(/<boot order="1"\/>/g)).toHaveLength(1);
  const [, second] = xml.split("<disk ").slice(1);
  expect(second).toContain('sdb.qcow2"');
  expect(second).toContain('<boot order="1"/>');
  expect(xml).not.toContain("<boot dev");
});

test("disks are named after their bus, and IDE gets the machine type that has it", () => {
  const withBus = (diskBus: "virtio" | "scsi" | "sata" | "ide") =>
    domainXml(keptMachine({ shape: { ...keptMachine().shape, diskBus } }), host);
  expect(withBus("virtio")).toContain('<target dev="vdb" bus="virtio"/>');
  expect(withBus("scsi")).toContain('<controller type="scsi" index="0" model="virtio-scsi"/>');
  expect(withBus("sata")).toContain('machine="q35"');
  expect(withBus("ide")).toContain('machine="pc"');
  expect(withBus("ide")).toContain('<target dev="hdb" bus="ide"/>');
  expect([0, 25, 26, 255].map(letters)).toEqual(["a", "z", "aa", "iv"]);
});

test("a fifth disk on an IDE controller is refused", () => {
  const disks = ["a", "b", "c", "d", "e"].map((name) => ({
    name,
    path: `/x/${name}`,
    format: "raw" as const,
  }));
  const shape = { ...keptMachine().shape, diskBus: "ide" as const };
  expect(() => domainXml(keptMachine({ shape, disks }), host)).toThrow("room for 4");
});

test("firmware files are named, so that none with enrolled keys is chosen", () => {
  const shape = { ...keptMachine().shape, firmware: "uefi" as const };
  const xml = domainXml(keptMachine({ shape }), { ...host, uefi: { code: "/c.fd", variables: "/v.fd" } });
  expect(xml).toContain('<loader readonly="yes" type="pflash">/c.fd</loader>');
  expect(xml).toContain('<nvram template="/v.fd"/>');
  expect(xml).not.toContain("firmware=");
});

test.each(["bios", "uefi"] as const)("the firmware (%s) shows for whom the machine was made", (firmware) => {
  const shape = { ...keptMachine().shape, firmware };
  const xml = domainXml(keptMachine({ shape, ownerId: "rcv_9" }), {
    ...host,
    uefi: { code: "/c", variables: "/v" },
  });
  expect(xml.match(/<entry>.*<\/entry>/g)).toEqual(["<entry>causeway-machine=rcv_9</entry>"]);
  // libvirt keeps the strings to itself without it.
  expect(xml.match(/<smbios mode="sysinfo"\/>/g)).toHaveLength(1);
});

test("a qcow2 image never makes the hypervisor open the file that it names as its backing", () => {
  expect(domainXml(keptMachine(), host).match(/<backingStore\/>/g)).toHaveLength(2);
});

test("a card keeps its address, and its VLAN is given to an Open vSwitch bridge in its own words", () => {
  const link = { kind: "bridge", bridge: "ovs0", vlan: 7 } as const;
  const shape = { ...keptMachine().shape, cards: [{ address: "52:54:00:aa:bb:cc", link }] };
  const xml = domainXml(keptMachine({ shape }), { ...host, openVswitch: new Set(["ovs0"]) });
  expect(xml).toContain('<mac address="52:54:00:aa:bb:cc"/>');
  expect(xml).toContain('<tag id="7"/>');
  expect(xml).toContain('<virtualport type="openvswitch"/>');
});

import { expect, test } from "vitest";
import { adaptedFiles, ROOT_UUID } from "./testing/a-system.ts";

const OLD = "00:0c:29:d5:2c:03";
const NEW = "52:54:00:12:34:56";
const moved = { cards: [{ address: NEW, replaces: { name: "ens192", address: OLD } }] };
const LINK = "/etc/systemd/network/10-causeway-ens192.link";
const link = (name: string, address: string) =>
  `[Match]\nMACAddress=${address}\nType=ether\n\n[Link]\nName=${name}\n`;

/** All but the file that keeps the card's name. */
function configuration(files: Record<string, string>): Record<string, string | null> {
  const { [LINK]: named, ...others } = adaptedFiles({ files }, moved).files;
  expect(named).toBe(link("ens192", NEW));
  return others;
}

test("a card keeps the name of the port that it replaces, with a new address and with the old one", () => {
  const interfaces = "auto ens192\niface ens192 inet static\n\taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n";
  expect(configuration({ "/etc/network/interfaces": interfaces })).toEqual({});
  const kept = { cards: [{ address: OLD, replaces: { name: "enp3s0f1", address: OLD.toUpperCase() } }] };
  expect(adaptedFiles({}, kept).files).toEqual({
    "/etc/systemd/network/10-causeway-enp3s0f1.link": link("enp3s0f1", OLD),
  });
});

test.each([
  [
    "netplan, as cloud-init writes it",
    "/etc/netplan/50-cloud-init.yaml",
    `network:\n  ethernets:\n    ens192:\n      dhcp4: true\n      match:\n        macaddress: '${OLD}'\n      set-name: ens192\n  version: 2\n`,
  ],
  [
    "a keyfile of NetworkManager",
    "/etc/NetworkManager/system-connections/Wired 1.nmconnection",
    `[ethernet]\nmac-address=${OLD.toUpperCase()}\n[ipv4]\nmethod=manual\naddress1=192.0.2.10/24,192.0.2.1\n`,
  ],
  [
    "what NetworkManager leaves alone",
    "/etc/NetworkManager/conf.d/unmanaged.conf",
    `[keyfile]\nunmanaged-devices=mac:${OLD};interface-name:veth*\n`,
  ],
  [
    "systemd-networkd",
    "/etc/systemd/network/20-wired.network",
    `[Match]\nMACAddress=${OLD}\n[Network]\nAddress=192.0.2.10/24\n`,
  ],
  [
    "a bond's member in network-scripts",
    "/etc/sysconfig/network-scripts/ifcfg-ens192",
    `DEVICE=ens192\nHWADDR=${OLD.toUpperCase()}\nMASTER=bond0\nSLAVE=yes\n`,
  ],
  [
    "cloud-init's own network",
    "/etc/cloud/cloud.cfg.d/50-network.cfg",
    `network:\n  config:\n    - type: physical\n      mac_address: "${OLD}"\n      name: ens192\n`,
  ],
  ["dashes", "/etc/systemd/network/20-wired.network", `[Match]\nMACAddress=${OLD.replaceAll(":", "-")}\n`],
])("what is configured by a card's address follows the card: %s", (_, path, text) => {
  const after = text.replace(new RegExp(OLD.replaceAll(":", "[:-]"), "gi"), (found) => {
    const next = found.includes("-") ? NEW.replaceAll(":", "-") : NEW;
    return /[A-F]/.test(found) ? next.toUpperCase() : next;
  });
  expect(after).not.toBe(text);
  expect(configuration({ [path]: text })).toEqual({ [path]: after });
});

test.each([
  [
    "a VLAN and a bond, which refer to names",
    "/etc/network/interfaces",
    "auto bond0\niface bond0 inet manual\n\tbond-slaves ens192 ens224\nauto bond0.100\niface bond0.100 inet static\n\taddress 192.0.2.1/24\n",
  ],
  [
    "a DHCP client's identity",
    "/etc/NetworkManager/system-connections/a",
    `[ipv4]\ndhcp-client-id=01:${OLD}\n`,
  ],
  ["another card's address", "/etc/netplan/01.yaml", "macaddress: 00:0c:29:d5:2c:04\n"],
  [
    "names",
    "/etc/NetworkManager/system-connections/b",
    "[connection]\ninterface-name=ens192\n[vlan]\nid=100\nparent=ens192\n",
  ],
])("this stays as it is: %s", (_, path, text) => {
  expect(configuration({ [path]: text })).toEqual({});
});

const RULES = "/etc/udev/rules.d/70-persistent-net.rules";
const rule = (address: string, name: string) =>
  `# PCI device 0x8086:/sys/devices/pci0000:00/0000:06:00.0 (igb)\nSUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${address}", ATTR{dev_id}=="0x0", ATTR{type}=="1", KERNEL=="eth*", NAME="${name}"\n`;

test("a rule of udev names the new card as it named the old one, and no second file does", () => {
  const cards = [{ address: NEW, replaces: { name: "eth0", address: OLD } }];
  const before = rule(OLD, "eth0") + rule("00:26:9e:b5:e1:a4", "eth1");
  const { files } = adaptedFiles({ files: { [RULES]: before } }, { cards });
  expect(files).toEqual({ [RULES]: rule(NEW, "eth0") + rule("00:26:9e:b5:e1:a4", "eth1") });
});

test("a rule that also wants the old slot names no card any more", () => {
  const cards = [{ address: NEW, replaces: { name: "lan0", address: OLD } }];
  const slot = `SUBSYSTEM=="net", KERNELS=="0000:03:00.0", ATTR{address}=="${OLD}", NAME="lan0"\n`;
  expect(Object.keys(adaptedFiles({ files: { [RULES]: slot } }, { cards }).files)).toContain(
    "/etc/systemd/network/10-causeway-lan0.link",
  );
});

test("two cards can exchange their addresses", () => {
  const cards = [
    { address: NEW, replaces: { name: "ens1", address: OLD } },
    { address: OLD, replaces: { name: "ens2", address: NEW } },
  ];
  const files = { "/etc/netplan/a.yaml": `a: ${OLD}\nb: ${NEW}\n` };
  expect(adaptedFiles({ files }, { cards }).files["/etc/netplan/a.yaml"]).toBe(`a: ${NEW}\nb: ${OLD}\n`);
});

test("names that the kernel itself gives are mentioned if the cards are not in their order", () => {
  const named = (...names: string[]) =>
    adaptedFiles(
      {},
      {
        cards: names.map((name, at) => ({
          address: `52:54:00:00:00:0${at}`,
          replaces: { name, address: OLD },
        })),
      },
    ).notes;
  expect(named("eth0", "eth1")).toEqual([]);
  expect(named("eth1", "eth0")).toEqual([expect.stringContaining("eth1, eth0")]);
});

test("a system without systemd is said to name its cards as it likes", () => {
  const { files, notes } = adaptedFiles({ programs: ["/usr/sbin/update-initramfs"] }, moved);
  expect(files).toEqual({});
  expect(notes).toEqual(["ens192 may get another name: the system has no systemd"]);
});

test("the initramfs is built with the name of the card, because an old udev names none that has a name", () => {
  const first = adaptedFiles({}, moved);
  expect(first.commands).toEqual(["update-initramfs -u -k 6.1.0-18-amd64"]);
  expect(adaptedFiles({ files: { [LINK]: link("ens192", NEW) } }, moved).commands).toEqual([]);
});

const GRUB = "/boot/grub/grub.cfg";
const entry = (parameters: string) =>
  `\tlinux\t/boot/vmlinuz-6.1.0-18-amd64 root=UUID=${ROOT_UUID} ro ${parameters} console=tty0 console=ttyS0,115200\n`;
const FIRST = "/etc/systemd/network/10-causeway-eth0.link";

test.each<[string, string[], Record<string, string>, boolean]>([
  ["the kernel names every card itself", ["eth0", "eth1"], { [GRUB]: entry("net.ifnames=0") }, false],
  ["udev names cards by their slots", ["eth0"], { [GRUB]: entry("quiet") }, true],
  [
    "one entry of the boot loader lets udev name cards",
    ["eth0"],
    { [GRUB]: entry("net.ifnames=0") + entry("single") },
    true,
  ],
  ["the boot loader's entries are not known", ["eth0"], { [GRUB]: "blscfg\n" }, true],
  ["the kernel gives the card another name", ["eth1"], { [GRUB]: entry("net.ifnames=0") }, true],
  ["a port has a name of the firmware's", ["eth0", "ens192"], { [GRUB]: entry("net.ifnames=0") }, true],
  [
    "a file names cards by something else",
    ["eth0"],
    {
      [GRUB]: entry("net.ifnames=0"),
      "/etc/systemd/network/50-all.link": "[Match]\nDriver=virtio_net\n[Link]\nName=lan0\n",
    },
    true,
  ],
])(
  "an initramfs is built again for a card's name only if it may give another one: %s",
  (_, names, files, isBuilt) => {
    const cards = names.map((name, at) => ({
      address: `52:54:00:00:00:0${at}`,
      replaces: { name, address: OLD },
    }));
    const adapted = adaptedFiles({ files }, { cards });
    expect(adapted.files).toHaveProperty([FIRST.replace("eth0", names[0] ?? "")]);
    expect(adapted.commands).toHaveLength(isBuilt ? 1 : 0);
  },
);

test("dracut takes the names of the cards into each initramfs, and keeps what it takes already", () => {
  const path = "/etc/dracut.conf.d/90-causeway.conf";
  const drivers = 'add_drivers+=" virtio_blk "\n';
  const programs = ["/usr/lib/systemd/systemd-udevd", "/usr/bin/dracut"];
  const { files, commands } = adaptedFiles({ programs, files: { [path]: drivers } }, moved);
  expect(files[path]).toBe(`${drivers}install_items+=" ${LINK} "\n`);
  expect(commands).toEqual([
    "dracut --force --no-hostonly --kver 6.1.0-18-amd64 /boot/initrd.img-6.1.0-18-amd64",
  ]);
  const again = { programs, files: { [path]: files[path] ?? "", [LINK]: link("ens192", NEW) } };
  expect(adaptedFiles(again, moved)).toEqual({ files: {}, notes: [], commands: [] });
});

test("a card that replaces none changes nothing", () => {
  expect(adaptedFiles({}, { cards: [{ address: NEW }] })).toEqual({ files: {}, notes: [], commands: [] });
});

test("cloud-init does not configure the clone as a new machine", () => {
  const { files } = adaptedFiles({ files: { "/etc/cloud/cloud.cfg": "users:\n - default\n" } });
  expect(files["/etc/cloud/cloud.cfg.d/99-zz-causeway.cfg"]).toContain("network: {config: disabled}\n");
});

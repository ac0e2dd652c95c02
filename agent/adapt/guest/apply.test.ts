import { hash } from "node:crypto";
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SourceDiskIdentity } from "#shared/protocol/wanted-machine.ts";
import { runGuestTool } from "../../browse/guest/tool.ts";
import { applyChanges, type ChangeWithContent } from "./apply.ts";
import type { MountedSystem } from "./mounted-system.ts";
import { inputsOf, readSystemFacts } from "./read-system.ts";
import { SystemFiles } from "./system-files.ts";

let root: string;
let begun: number;
let volumes: MountedSystem["volumes"];
let disks: SourceDiskIdentity[];
const sha = (text: string) => hash("sha256", text, "hex");
const version = "6.1.0-18-amd64";

const FILES = {
  "etc/fstab": "/dev/sda2 / ext4 defaults 0 1\n",
  "etc/machine-id": "6c0d\n",
  "usr/lib/systemd/systemd-udevd": "udev",
  [`boot/vmlinuz-${version}`]: "kernel",
  [`boot/initrd.img-${version}`]: "old initramfs",
  [`usr/lib/modules/${version}/modules.dep`]: "kernel/drivers/block/virtio_blk.ko:\n",
  "etc/init.d/corosync": "#!/bin/sh",
};

beforeEach(async () => {
  begun = 0;
  volumes = [{ device: "vda2", disk: "sda", partition: 2, type: "ext4", uuid: "8d9c" }];
  disks = [{ name: "sda", serial: "S1" }];
  root = await mkdtemp(join(tmpdir(), "adapted-system-"));
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await symlink("usr/lib", join(root, "lib"));
  await chmod(join(root, "etc/fstab"), 0o640);
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** What the system's programs do is done by those of this machine, inside the folder. */
function system(): Pick<MountedSystem, "root" | "run" | "volumes"> {
  const inside = (word: string) => (word.startsWith("/") ? join(root, word) : word);
  return { root, volumes, run: ([program = "", ...words]) => runGuestTool(program, ...words.map(inside)) };
}

/** How often writing began is counted in `begun`. */
function apply(before: ReadonlyMap<string, string>, changes: readonly ChangeWithContent[]) {
  return applyChanges(system(), disks, before, changes, () => {
    begun += 1;
  });
}

async function inputs(): Promise<Map<string, string>> {
  const files = new SystemFiles(system());
  return inputsOf(await readSystemFacts(files), files, { volumes, disks });
}

function change(path: string, before: string | undefined, after: string | undefined): ChangeWithContent {
  return {
    change: {
      ...{ path, mode: 0o600, why: ["w"], diff: "" },
      ...(before === undefined ? {} : { beforeSha256: sha(before) }),
      ...(after === undefined ? {} : { after: { sha256: sha(after), sizeBytes: Buffer.byteLength(after) } }),
    },
    ...(after === undefined ? {} : { content: Buffer.from(after) }),
  };
}

const CHANGES = [
  change("/etc/fstab", FILES["etc/fstab"], "UUID=8d9c / ext4 defaults 0 1\n"),
  change("/etc/systemd/network/10-causeway-eno1.link", undefined, "[Link]\n"),
  change("/etc/machine-id", FILES["etc/machine-id"], undefined),
  change(`/boot/initrd.img-${version}`, "old initramfs", "new initramfs"),
];
const read = (path: string) => readFile(join(root, path), "utf8").catch(() => undefined);

test("what the changes depend on is named: files, kernels with their initramfs and drivers, units, programs, volumes, disks", async () => {
  expect([...(await inputs()).keys()].sort()).toEqual([
    "/boot/initrd.img-6.1.0-18-amd64",
    "/etc/fstab",
    "/etc/machine-id",
    "/lib/modules/6.1.0-18-amd64/modules.dep",
    "disks",
    "kernels",
    "programs",
    "units",
    "volumes",
  ]);
});

test("changes are made if nothing has changed since, and existing files keep their rights", async () => {
  expect(await apply(await inputs(), CHANGES)).toEqual({ stale: [] });
  expect(await read("etc/fstab")).toBe("UUID=8d9c / ext4 defaults 0 1\n");
  expect((await stat(join(root, "etc/fstab"))).mode & 0o777).toBe(0o640);
  expect((await stat(join(root, "etc/systemd/network/10-causeway-eno1.link"))).mode & 0o777).toBe(0o600);
  expect(await read("etc/machine-id")).toBeUndefined();
  expect(await read(`boot/initrd.img-${version}`)).toBe("new initramfs");
});

test.each([1, 2, 3, 4])(
  "an apply that was interrupted after %i changes is finished by the next one",
  async (made) => {
    const before = await inputs();
    await apply(before, CHANGES.slice(0, made));
    expect(await apply(before, CHANGES)).toEqual({ stale: [] });
    expect(await read("etc/machine-id")).toBeUndefined();
    expect(await read(`boot/initrd.img-${version}`)).toBe("new initramfs");
  },
);

test.each([
  ["a file that is changed", "etc/fstab", "/etc/fstab"],
  ["a file that is only read", "etc/netplan/new.yaml", "/etc/netplan/new.yaml"],
  ["another kernel", `boot/vmlinuz-${version}.new`, "kernels"],
  ["an initramfs", `boot/initrd.img-${version}`, `/boot/initrd.img-${version}`],
  ["a unit", "etc/systemd/system/zabbix-agent.service", "units"],
  [
    "a file that is to be made",
    "etc/systemd/network/10-causeway-eno1.link",
    "/etc/systemd/network/10-causeway-eno1.link",
  ],
])("if %s is not as it was, nothing is changed, and it is named", async (_, path, name) => {
  const before = await inputs();
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), "someone else's");
  if (name === "kernels") {
    await mkdir(join(root, `lib/modules/${version}.new`), { recursive: true });
    await writeFile(join(root, `lib/modules/${version}.new/modules.dep`), "");
  }
  const { stale } = await apply(before, CHANGES);
  expect(stale).toContain(name);
  expect(await read("etc/machine-id")).toBe("6c0d\n");
  if (path !== "etc/fstab") expect(await read("etc/fstab")).toBe(FILES["etc/fstab"]);
});

test("if a volume has another UUID, or a disk another identity, nothing is changed", async () => {
  const before = await inputs();
  volumes = [{ device: "vda2", disk: "sda", partition: 2, type: "ext4", uuid: "a new one" }];
  expect(await apply(before, CHANGES)).toEqual({ stale: ["volumes"] });
  disks = [{ name: "sda", serial: "S2" }];
  expect(await apply(before, CHANGES)).toEqual({ stale: ["disks", "volumes"] });
  expect(await read("etc/fstab")).toBe(FILES["etc/fstab"]);
});

test("a file is replaced by a whole one: who has the old one open still reads it, and nothing is left beside it", async () => {
  const old = await open(join(root, "etc/fstab"));
  // An interrupted write left this.
  await writeFile(join(root, "etc/.fstab.causeway"), "half");
  await apply(await inputs(), CHANGES);
  expect(await old.readFile("utf8")).toBe(FILES["etc/fstab"]);
  await old.close();
  expect((await readdir(join(root, "etc"))).filter((name) => name.endsWith(".causeway"))).toEqual([]);
});

test("what is already as it is to be is not written again, and it is known whether writing has begun", async () => {
  const before = await inputs();
  await apply(before, CHANGES);
  const { ino } = await stat(join(root, "etc/fstab"));
  expect(begun).toBe(1);
  await apply(before, CHANGES);
  expect((await stat(join(root, "etc/fstab"))).ino).toBe(ino);
  expect(begun).toBe(1);
});

test("if one content is not what its change says, no other change is made either", async () => {
  const [first, second] = CHANGES as [ChangeWithContent, ChangeWithContent];
  const wrong = { change: second.change, content: Buffer.from("something else") };
  await expect(apply(await inputs(), [first, wrong])).rejects.toThrow("is not what its change says");
  expect(await read("etc/fstab")).toBe(FILES["etc/fstab"]);
  expect(begun).toBe(0);
});

test("a file that cannot be copied stays as it is", async () => {
  const run = async () => ({ succeeded: false, output: "", complaint: "no space left" });
  await expect(
    applyChanges({ ...system(), run }, disks, await inputs(), CHANGES, () => undefined),
  ).rejects.toThrow("/etc/fstab cannot be copied: no space left");
  expect(await read("etc/fstab")).toBe(FILES["etc/fstab"]);
});

test("a content that is not what its change says is not written", async () => {
  const [first] = CHANGES;
  const wrong = { change: first?.change ?? CHANGES[1]?.change, content: Buffer.from("something else") };
  await expect(apply(await inputs(), [wrong as ChangeWithContent])).rejects.toThrow(
    "/etc/fstab is not what its change says",
  );
  expect(await read("etc/fstab")).toBe(FILES["etc/fstab"]);
});

test("a link of the system leads within the system", async () => {
  await rm(join(root, "etc/fstab"));
  await symlink("/etc/real-fstab", join(root, "etc/fstab"));
  await writeFile(join(root, "etc/real-fstab"), "real\n");
  const files = new SystemFiles(system());
  expect((await files.read("/etc/fstab"))?.content.toString()).toBe("real\n");
  await files.write("/etc/fstab", Buffer.from("new\n"), 0o644);
  expect(await read("etc/real-fstab")).toBe("new\n");
});

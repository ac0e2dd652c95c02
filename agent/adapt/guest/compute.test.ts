import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runGuestTool } from "../../browse/guest/tool.ts";
import { aWantedMachine } from "../testing/a-system.ts";
import { computeAdaptation } from "./compute.ts";

const version = "6.1.0-18-amd64";
const INITRAMFS = `/boot/initrd.img-${version}`;
const DRIVERS = ["virtio_pci", "virtio_blk"].map((name) => `kernel/drivers/${name}.ko:\n`).join("");
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "computed-system-"));
  const files = {
    [`boot/vmlinuz-${version}`]: "kernel",
    [INITRAMFS.slice(1)]: "kernel/drivers/ahci.ko\n",
    [`lib/modules/${version}/modules.dep`]: DRIVERS,
    "usr/sbin/update-initramfs": "",
    "usr/bin/lsinitramfs": "",
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A system whose initramfs is the list of its drivers, and whose builder leaves it with this content. */
function compute(built: string | undefined) {
  const run = async ([program = "", ...words]: readonly string[]) => {
    const done = { succeeded: true, output: "", complaint: "" };
    if (program === "lsinitramfs") return runGuestTool("cat", join(root, words[0] ?? ""));
    if (program === "update-initramfs" && built !== undefined) await writeFile(join(root, INITRAMFS), built);
    return done;
  };
  const wanted = aWantedMachine({ diskBus: "virtio" });
  return computeAdaptation({ root, run, volumes: [] }, [{ name: "sda" }], wanted, async () => undefined);
}

test("an initramfs that is built with the drivers is among the changes", async () => {
  const { changes, notes } = await compute(DRIVERS.replaceAll(":", ""));
  expect(changes.map(({ path }) => path)).toContain(INITRAMFS);
  expect(notes).toEqual([]);
});

test.each([
  ["builds nothing, as Debian's with update_initramfs=no", undefined],
  ["builds an initramfs with some of them", "kernel/drivers/virtio_pci.ko\n"],
])("a builder that succeeds and %s has failed", async (_, built) => {
  await expect(compute(built)).rejects.toMatchObject({
    name: "ProgramFailedError",
    message: expect.stringMatching(/still lacks (virtio_pci, )?virtio_blk$/),
  });
});

test("if nothing lists what is in an initramfs, a note says what it needs", async () => {
  await rm(join(root, "usr/bin/lsinitramfs"));
  const { notes } = await compute(undefined);
  expect(notes).toEqual([
    `nothing here lists what is in ${INITRAMFS}; it needs virtio_pci, virtio_blk`,
    `update-initramfs -u -k ${version} left ${INITRAMFS} as it was`,
  ]);
});

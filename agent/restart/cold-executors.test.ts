import { generateKeyPairSync } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { aReach } from "#shared/domain/testing/records.ts";
import { type BootImageReference, INITRD_FILE, KERNEL_FILE } from "#shared/protocol/boot-image.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { publicKeyPem, signManifest } from "../boot-image/signature.ts";
import { restoreBootState } from "../boot-loaders/restore.ts";
import { ROOT_UUID } from "../boot-loaders/testing/fake-machine.ts";
import { withoutWriting } from "../boot-loaders/testing/untouched.ts";
import { readVolumes } from "../boot-loaders/volumes.ts";
import { aSourceWithGrub, conversionId, hashes, type Source } from "./testing/source-with-grub.ts";

const SHA = "a".repeat(64);
const SECURE_BOOT = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

const keyOf = (image: BootImageReference, name: string) =>
  image.files.find((file) => file.name === name)?.key ?? "";

/** Changes every byte of the object, but not its length. */
function damage({ store, image }: Source, name: string): void {
  const key = keyOf(image, name);
  store.objects.set(key, Buffer.alloc(store.objects.get(key)?.length ?? 0, "evil "));
}

/** The same manifest, signed with another key, which the reference names. */
function signedByAnother({ store, image }: Source): BootImageReference {
  const { privateKey } = generateKeyPairSync("ed25519");
  const manifest = store.objects.get(image.manifestKey) ?? Buffer.alloc(0);
  return {
    ...image,
    signatureBase64: signManifest(manifest, privateKey).toString("base64"),
    publicKeyPem: publicKeyPem(privateKey),
  };
}

test("a valid image is staged and armed, and removed without a trace", async () => {
  const source = await aSourceWithGrub();
  const before = source.bootState();
  expect(await source.stage(source.image)).toMatchObject({ adapter: "grub", bytesStaged: 14_000 });
  expect(source.bootState()).toEqual(before);
  expect(await source.arm()).toMatchObject({ adapter: "grub", bootId: "boot-1" });
  expect(await readFile(source.machine.at("/boot/grub/grubenv"), "utf8")).toContain("next_entry=causeway");
  await source.disarm();
  expect(source.bootState()).toEqual(before);
});

test("a machine that would wait at its return is neither staged nor armed, until that is accepted", async () => {
  const source = await aSourceWithGrub();
  const refusal = {
    name: "ReturnNotUnattendedError",
    hint: expect.stringContaining("--accept starts-unattended"),
    details: { rules: [{ rule: "starts-unattended", reason: expect.stringContaining("without end") }] },
  };
  await source.stage(source.image);
  const configuration = (await readFile(source.machine.at("/boot/grub/grub.cfg"), "utf8")).replace(
    "set timeout=5",
    'set timeout="-1"',
  );
  await source.machine.put("/boot/grub/grub.cfg", configuration, 0o444);
  const before = source.bootState();
  await expect(source.stage(source.image)).rejects.toMatchObject(refusal);
  await expect(source.arm()).rejects.toMatchObject(refusal);
  await expect(source.arm(["opens-unattended"])).rejects.toMatchObject(refusal);
  expect(source.bootState()).toEqual(before);
  expect(await source.arm(["starts-unattended"])).toMatchObject({ adapter: "grub" });
  await source.disarm();
  expect(source.bootState()).toEqual(before);
});

test("a receipt that was signed but not reported is returned when it is requested again", async () => {
  const source = await aSourceWithGrub();
  await source.stage(source.image);
  await source.arm();
  const first = await source.attest();
  expect(first).toMatchObject({ receipt: { content: { conversionId, outcome: "equal" } } });
  await source.machine.put("/boot/grub/custom.cfg", "of its owner, later");
  expect(await source.attest()).toEqual(first);
  expect(await readFile(source.machine.at("/boot/grub/custom.cfg"), "utf8")).toBe("of its owner, later");
});

/** Everything below the machine's root, with its content. */
const everything = ({ machine }: Source) => hashes(machine.root);

test("a boot state that another user put beside the agent's is not restored, and nothing is written", async () => {
  const source = await aSourceWithGrub();
  const location = { volume: ROOT_UUID, path: "/etc/cron.d/evil" };
  const content = Buffer.from("* * * * * root evil");
  const planted = {
    format: 2,
    loader: "grub",
    jobId: "cnv-1",
    savedAt: "2030-01-01T00:00:00.000Z",
    volumes: [],
    items: [
      {
        kind: "file",
        location,
        before: {
          ...{ mode: 0o644, uid: 0, gid: 0, modifiedNs: "0", sizeBytes: content.length, sha256: SHA },
          contentBase64: content.toString("base64"),
        },
        ...{ format: "own", secret: false, staged: false },
      },
    ],
  };
  const folder = join(source.dataDir, "boot-states");
  await mkdir(folder);
  const before = everything(source);
  for (const text of [planted, { value: planted, mac: SHA }, [], "x"].map((each) => JSON.stringify(each))) {
    await writeFile(join(folder, "cnv_1.json"), text);
    await expect(source.disarm()).rejects.toMatchObject({ name: "RecordNotOursError" });
    await expect(source.attest()).rejects.toMatchObject({ name: "RecordNotOursError" });
  }
  expect(everything(source)).toEqual(before);
});

test("a machine is described again only if its boot state was not as it was saved before the attestation or release", async () => {
  const source = await aSourceWithGrub();
  let changes = 0;
  const machineChanged = () => changes++;
  await source.stage(source.image);
  await source.arm();
  const saved = await source.states.get(conversionId);
  if (!saved) throw new Error("the machine is not armed");
  await restoreBootState(saved, source.machine, await readVolumes(source.machine));
  expect(await source.attest(machineChanged)).toMatchObject({ receipt: { content: { outcome: "equal" } } });
  await source.disarm(machineChanged);
  expect(changes).toBe(0);

  await source.stage(source.image);
  await source.arm();
  expect(await source.attest(machineChanged)).toMatchObject({ receipt: { content: { outcome: "equal" } } });
  expect(changes).toBe(1);
  await source.stage(source.image);
  await source.arm();
  await source.disarm(machineChanged);
  expect(changes).toBe(2);
});

test("a machine without a saved boot state gets no receipt, staged or not, and nothing is written", async () => {
  const source = await aSourceWithGrub();
  const attested = () => expect(source.attest()).rejects.toMatchObject({ name: "BootStateNotSavedError" });
  await withoutWriting(source.machine, attested);
  await source.stage(source.image);
  await withoutWriting(source.machine, attested);
});

test("a boot state that was saved for another conversion is not restored for this one", async () => {
  const source = await aSourceWithGrub();
  await source.stage(source.image);
  await source.arm();
  const folder = join(source.dataDir, "boot-states");
  await rename(join(folder, "cnv_1.json"), join(folder, "cnv_2.json"));
  await expect(source.states.get("cnv_2")).rejects.toMatchObject({ name: "RecordNotOursError" });
  await expect(source.states.get("../boot-states/cnv_2")).rejects.toThrow();
});

test.each<[string, string, (source: Source) => BootImageReference]>([
  [
    "a kernel with another hash",
    "BootImageInvalidError",
    (source) => {
      damage(source, KERNEL_FILE);
      return source.image;
    },
  ],
  [
    "a RAM disk with another hash",
    "BootImageInvalidError",
    (source) => {
      damage(source, INITRD_FILE);
      return source.image;
    },
  ],
  [
    "a manifest that was changed",
    "BootImageInvalidError",
    (source) => {
      const { store, image } = source;
      store.objects.set(image.manifestKey, Buffer.from(`${store.objects.get(image.manifestKey)} `));
      return image;
    },
  ],
  [
    "another signature",
    "BootImageInvalidError",
    (source) => ({ ...source.image, signatureBase64: signedByAnother(source).signatureBase64 }),
  ],
  ["another key, with its own good signature,", "BootImageUntrustedError", signedByAnother],
])("%s is refused, and nothing is staged or armed", async (_, name, tamper) => {
  const source = await aSourceWithGrub();
  const before = source.bootState();
  await expect(source.stage(tamper(source))).rejects.toMatchObject({ name });
  // A restart that is requested anyway has nothing to start.
  await expect(source.arm()).rejects.toMatchObject({ name: "BootImageNotStagedError" });
  expect(source.bootState()).toEqual(before);
});

test("an image that is changed between staging and arming is refused, and nothing is armed", async () => {
  const source = await aSourceWithGrub();
  const before = source.bootState();
  await source.stage(source.image);
  damage(source, KERNEL_FILE);
  await writeFile(join(source.imageDir, KERNEL_FILE), "evil");
  await expect(source.arm()).rejects.toMatchObject({ name: "BootImageInvalidError" });
  expect(source.bootState()).toEqual(before);
});

async function withSecureBoot(signed: { secureBootSigned: boolean }): Promise<Source> {
  const source = await aSourceWithGrub({ firmware: "uefi" }, signed);
  await source.machine.putVariable(SECURE_BOOT, Buffer.from([1]), 6);
  return source;
}

test("with Secure Boot an image that is not signed for it is refused, with the remaining options", async () => {
  const source = await withSecureBoot({ secureBootSigned: false });
  const before = source.bootState();
  await expect(source.stage(source.image)).rejects.toMatchObject({
    name: "ArmingRefusedError",
    message: expect.stringContaining("Secure Boot is on"),
    hint: expect.stringMatching(/Switch Secure Boot off.*or convert hot/),
  });
  expect(source.bootState()).toEqual(before);
});

test("with Secure Boot an image that is signed for it is staged", async () => {
  const source = await withSecureBoot({ secureBootSigned: true });
  expect(await source.stage(source.image)).toMatchObject({ adapter: "boot-next" });
});

test("with Secure Boot an image that only the control plane calls signed is refused", async () => {
  const source = await withSecureBoot({ secureBootSigned: false });
  const boasted = { ...source.image, secureBootSigned: true };
  await expect(source.stage(boasted)).rejects.toMatchObject({ name: "BootImageInvalidError" });
});

/** One port with a static address. */
const network: Inventory["network"] = {
  interfaces: [
    {
      name: "eth0",
      macAddress: "52:54:00:00:00:01",
      kind: "ethernet",
      state: "up",
      mtuBytes: 1500,
      addresses: [{ family: "ipv4", address: "192.0.2.10", prefixLength: 24, dynamic: false }],
      configuration: { source: "ifupdown", method: "static" },
    },
  ],
  routes: [],
  dns: { servers: [], search: [] },
  reach: aReach(),
};

test("a network that was not rehearsed stops both steps before anything is written, unless that is accepted", async () => {
  const source = await aSourceWithGrub({ firmware: "bios" }, { network });
  const before = source.bootState();
  const refused = {
    name: "NetworkNotRehearsedError",
    hint: expect.stringContaining("--accept network-rehearsed"),
  };
  await expect(source.stage(source.image)).rejects.toMatchObject(refused);
  await expect(source.arm()).rejects.toMatchObject({ name: "BootImageNotStagedError" });
  await source.stage(source.image, ["network-rehearsed"]);
  const objects = source.store.objects.size;
  await expect(source.arm()).rejects.toMatchObject(refused);
  expect(source.bootState()).toEqual(before);
  expect(source.store.objects.size).toBe(objects);
  await source.arm(["network-rehearsed"]);
  expect(source.bootState()).not.toEqual(before);
  await source.disarm();
  expect(source.bootState()).toEqual(before);
});

test("what is armed for a cutover has its own system prepared to be fenced, and tells the boot environment how", async () => {
  const source = await aSourceWithGrub();
  await source.stage(source.image);
  await source.arm([], undefined, { fence: { term: 3 }, idleSeconds: 4200 });
  expect(source.prepared).toEqual([{ term: 3, path: "/etc/causeway/fenced", mountPoint: "/" }]);
  const job = await readFile(source.machine.at("/boot/causeway/cnv-1/overlay.cpio"), "latin1");
  expect(job).toContain('"idleSeconds":4200');
  expect(job).toContain(
    `"fence":{"term":3,"services":["db.service"],"notice":"FENCED\\n","location":{"volume":"${ROOT_UUID}"`,
  );
  await source.disarm();
});

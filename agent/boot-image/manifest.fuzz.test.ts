/** Anything that the holder of the boot images' key signs, and anything that comes with a signature. */
import { generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BootImageInvalidError } from "#shared/errors.ts";
import { mutated } from "#shared/protocol/testing/mutations.ts";
import { keyFingerprint, publicKeyPem, verifyManifest } from "./signature.ts";

const { privateKey } = generateKeyPairSync("ed25519");
const publicKey = publicKeyPem(privateKey);
const manifest = {
  ...{ format: 1, architecture: "x86_64", causewayVersion: "1", nodeVersion: "v24", kernelRelease: "6.1" },
  ...{ commandLine: "quiet", memoryMiB: 1024, system: "linux", secureBootSigned: false, sourceDateEpoch: 0 },
  packages: [{ name: "linux", version: "1", sha256: "a".repeat(64) }],
  programs: ["sh"],
  firmware: ["x"],
  drivers: [{ name: "e1000", kind: "network", builtIn: false }],
  files: [{ path: "vmlinuz", sizeBytes: 1, sha256: "a".repeat(64) }],
};

function readOrRefused(bytes: Uint8Array, signature: Uint8Array, key = publicKey): void {
  try {
    const read = verifyManifest(bytes, signature, key);
    for (const { path } of read.files) {
      expect(path).not.toMatch(/^\/|\\|\0|(^|\/)\.{1,2}(\/|$)/);
    }
  } catch (error) {
    expect(error).toBeInstanceOf(BootImageInvalidError);
  }
}

test("any signed bytes are read as a manifest whose files stay inside their folder, or are refused", () => {
  const json = fc.oneof(
    mutated(manifest).map((value) => JSON.stringify(value) ?? ""),
    fc.string(),
    fc.json(),
  );
  fc.assert(
    fc.property(json, (text) => {
      const bytes = Buffer.from(text);
      readOrRefused(bytes, sign(null, bytes, privateKey));
    }),
    { numRuns: 400 },
  );
});

test("anything in place of signature and key is refused with a typed error", () => {
  const bytes = Buffer.from(JSON.stringify(manifest));
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.oneof(fc.constant(publicKey), fc.string()),
      (signature, key) => {
        readOrRefused(bytes, signature, key);
        if (key !== publicKey) expect(() => keyFingerprint(key)).toThrow(BootImageInvalidError);
      },
    ),
  );
});

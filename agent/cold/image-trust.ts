import { z } from "zod";
import { BootImageInvalidError } from "#shared/errors.ts";
import { DataFile } from "../identity/identity.ts";

const TrustedKey = z.object({ publicKeyPem: z.string() });

/**
 * Accepts the first key that it is shown, and from then on only that one: whoever later controls what the control plane says cannot make this
 * machine start another's image. To accept a new key, the operator removes `boot-image-key.json` from the agent's data folder.
 */
export async function trustOnFirstUse(dataDir: string, publicKeyPem: string): Promise<void> {
  const file = new DataFile(dataDir, "boot-image-key.json", TrustedKey);
  const known = await file.read();
  if (!known) return file.write({ publicKeyPem });
  if (known.publicKeyPem.trim() !== publicKeyPem.trim()) {
    throw new BootImageInvalidError(
      "the boot image is signed with another key than the one this agent trusts",
    );
  }
}

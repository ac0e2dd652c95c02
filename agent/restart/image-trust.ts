import * as z from "zod";
import { BootImageUntrustedError } from "#shared/errors.ts";
import { keyFingerprint } from "../boot-image/signature.ts";
import { DataFile } from "../identity/identity.ts";

const TrustedKey = z.object({ publicKeyPem: z.string() });

/**
 * Decides whose boot images this machine starts: those signed with one key, and no other. An attacker who
 * later controls the control plane cannot make the machine start another image; only the machine's own
 * administrator can.
 */
export class ImageTrust {
  readonly #file: DataFile<z.infer<typeof TrustedKey>>;
  readonly #enrolledKey: string | undefined;

  /** `enrolledKey`: the key that enrolment gave the agent, if there was one. */
  constructor(dataDir: string, enrolledKey: string | undefined) {
    this.#file = new DataFile(dataDir, "boot-image-key.json", TrustedKey);
    this.#enrolledKey = enrolledKey;
  }

  /** The key's fingerprint; `undefined` while no key is trusted. */
  async fingerprint(): Promise<string | undefined> {
    const key = await this.#key();
    return key === undefined ? undefined : keyFingerprint(key);
  }

  /**
   * Throws `BootImageUntrustedError` for any key but the trusted one. If none was given at enrolment or named
   * since, the first key asked for becomes the trusted one.
   */
  async require(publicKeyPem: string): Promise<void> {
    const signedBy = keyFingerprint(publicKeyPem);
    const trusted = await this.fingerprint();
    if (trusted === undefined) return this.trust(publicKeyPem);
    if (trusted !== signedBy) throw new BootImageUntrustedError(signedBy, trusted);
  }

  /** From now on trusts this key and no other: the decision of the machine's administrator. */
  trust(publicKeyPem: string): Promise<void> {
    return this.#file.write({ publicKeyPem });
  }

  async #key(): Promise<string | undefined> {
    return (await this.#file.read())?.publicKeyPem ?? this.#enrolledKey;
  }
}

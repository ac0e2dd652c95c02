import { z } from "zod";
import { BootImageUntrustedError } from "#shared/errors.ts";
import { keyFingerprint } from "../boot-image/signature.ts";
import { DataFile } from "../identity/identity.ts";

const TrustedKey = z.object({ publicKeyPem: z.string() });

/**
 * Whose boot images this machine starts: those signed with one key, and no other. Whoever controls what the
 * control plane says later cannot make the machine start another's image; that takes the machine's own
 * administrator.
 */
export class ImageTrust {
  readonly #file: DataFile<z.infer<typeof TrustedKey>>;
  readonly #enrolledKey: string | undefined;

  /** `enrolledKey`: what the agent was told at its enrolment, if a key was known then. */
  constructor(dataDir: string, enrolledKey: string | undefined) {
    this.#file = new DataFile(dataDir, "boot-image-key.json", TrustedKey);
    this.#enrolledKey = enrolledKey;
  }

  /** The key's fingerprint; nothing as long as no key is known. */
  async fingerprint(): Promise<string | undefined> {
    const key = await this.#key();
    return key === undefined ? undefined : keyFingerprint(key);
  }

  /**
   * Throws `BootImageUntrustedError` for any key but the trusted one. Where none was known at enrolment, and
   * none was named since, the first that is asked for becomes it.
   */
  async require(publicKeyPem: string): Promise<void> {
    const signedBy = keyFingerprint(publicKeyPem);
    const trusted = await this.fingerprint();
    if (trusted === undefined) return this.trust(publicKeyPem);
    if (trusted !== signedBy) throw new BootImageUntrustedError(signedBy, trusted);
  }

  /**
   * From here on this key is the trusted one, whatever was told before: the word of the machine's
   * administrator.
   */
  trust(publicKeyPem: string): Promise<void> {
    return this.#file.write({ publicKeyPem });
  }

  async #key(): Promise<string | undefined> {
    return (await this.#file.read())?.publicKeyPem ?? this.#enrolledKey;
  }
}

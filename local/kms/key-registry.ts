import { AwsError } from "../core/aws-error.ts";
import { ACCOUNT_ID, type PolicyDocument, REGION } from "../core/service.ts";

/** Encrypts under 256 random bits, or signs with a key pair on P-256. */
export type KeySpec = "SYMMETRIC_DEFAULT" | "ECC_NIST_P256";

/** A key as the templates declare it. */
export interface Key {
  id: string;
  arn: string;
  description: string;
  enabled: boolean;
  spec: KeySpec;
  policy: PolicyDocument;
}

/** The keys and aliases that the templates declare. */
export class KeyRegistry {
  readonly #keys = new Map<string, Key>();
  readonly #aliases = new Map<string, string>();

  add(key: Key): void {
    this.#keys.set(key.id, key);
  }

  /** Points an alias (`alias/…`) at a key, given in any form that `find` takes. */
  addAlias(alias: string, target: string): void {
    this.#aliases.set(alias, this.find(target).id);
  }

  /** The key behind an id, a key ARN, an alias name or an alias ARN; throws `NotFoundException`. */
  find(reference: string): Key {
    const prefix = `arn:aws:kms:${REGION}:${ACCOUNT_ID}:`;
    const local = reference.startsWith(prefix) ? reference.slice(prefix.length) : reference;
    const id = this.#aliases.get(local) ?? local.replace(/^key\//, "");
    const key = this.#keys.get(id);
    if (!key) throw new AwsError("NotFoundException", `Key '${reference}' does not exist`);
    return key;
  }
}

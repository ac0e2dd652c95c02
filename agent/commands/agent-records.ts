import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { RecordNotOursError } from "#shared/errors.ts";
import { canonicalJson } from "#shared/protocol/canonical-json.ts";
import { OwnerId, PlanId } from "#shared/protocol/ids.ts";
import { DataFile, type Identity } from "../identity/identity.ts";
import { insideFolder } from "../machine/inside-folder.ts";

const Sealed = z.strictObject({ value: z.unknown(), mac: z.string().regex(/^[0-9a-f]{64}$/) });

/** The key by which an agent recognises its own records. */
export function recordKeyOf({ keyPem }: Pick<Identity, "keyPem">): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", keyPem, "", "causeway/1/agent-records", 32));
}

export interface RecordsOptions<T> {
  dataDir: string;
  /** The subfolder of the agent's folder with the records: `boot-states`. */
  folder: string;
  /** What follows the id: `.image.json`. */
  suffix: string;
  schema: z.ZodType<T>;
  /** See `recordKeyOf`. */
  key: Uint8Array;
}

const RecordId = z.union([OwnerId, PlanId]);

/**
 * An agent's record of each owner or plan, in its own folder; what it does later depends on it. Each record
 * has a code made with the agent's key, which also covers its kind and its id. A file that another
 * user wrote or moved there is refused with `RecordNotOursError`. See docs/decisions/0085.
 */
export class AgentRecords<T> {
  readonly #options: RecordsOptions<T>;

  constructor(options: RecordsOptions<T>) {
    this.#options = options;
  }

  /** Durable when it resolves. */
  async write(id: string, value: T): Promise<void> {
    // A value that could not be read again is not written.
    this.#options.schema.parse(value);
    await this.#file(id).write({ value, mac: this.#macOf(id, value).toString("hex") });
  }

  /** Returns `undefined` if there is no record of this id. */
  async read(id: string): Promise<T | undefined> {
    const { schema } = this.#options;
    const sealed = await this.#file(id)
      .read()
      .catch((error: NodeJS.ErrnoException) => {
        if (error.code !== undefined) throw error;
        throw new RecordNotOursError(this.#path(id));
      });
    if (!sealed) return undefined;
    const isOurs = this.#isOurs(id, sealed);
    const value = schema.safeParse(sealed.value);
    if (!isOurs || !value.success) throw new RecordNotOursError(this.#path(id));
    return value.data;
  }

  /** Of every record there is. */
  async ids(): Promise<string[]> {
    const { dataDir, folder, suffix } = this.#options;
    const names = await readdir(join(dataDir, folder)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    return names
      .filter((name) => name.endsWith(suffix))
      .map((name) => name.slice(0, -suffix.length))
      .filter((id) => RecordId.safeParse(id).success);
  }

  #isOurs(id: string, { value, mac }: z.infer<typeof Sealed>): boolean {
    try {
      return timingSafeEqual(this.#macOf(id, value), Buffer.from(mac, "hex"));
    } catch (error) {
      // No canonical JSON: nested deeper, or of another kind, than anything that this agent writes.
      if (error instanceof TypeError || error instanceof RangeError) return false;
      throw error;
    }
  }

  async forget(id: string): Promise<void> {
    await rm(this.#path(id), { force: true });
  }

  #file(id: string): DataFile<z.infer<typeof Sealed>> {
    const { dataDir, folder } = this.#options;
    return new DataFile(join(dataDir, folder), this.#name(id), Sealed);
  }

  #path(id: string): string {
    const { dataDir, folder } = this.#options;
    return insideFolder(join(dataDir, folder), this.#name(id));
  }

  #name(id: string): string {
    return `${RecordId.parse(id)}${this.#options.suffix}`;
  }

  #macOf(id: string, value: unknown): Buffer {
    const { folder, suffix, key } = this.#options;
    return createHmac("sha256", key)
      .update(canonicalJson([folder, suffix, id, value]))
      .digest();
  }
}

import { BootImageRecord } from "#shared/domain/boot-image.ts";
import { NotFoundError } from "#shared/errors.ts";
import { Aggregates } from "./aggregates.ts";
import type { Table, TablePage } from "./table.ts";

const keyOf = (id: string) => ({ pk: `BOOTIMAGE#${id}`, sk: "BOOTIMAGE" });
const COMPLETE = "BOOTIMAGES";

/** Boot images. Only complete ones are in the index, by their time of completion. */
export class BootImageStore {
  readonly #images: Aggregates<BootImageRecord>;

  constructor(table: Table) {
    this.#images = new Aggregates(table, {
      what: "boot image",
      schema: BootImageRecord,
      keys: (image) => ({
        ...keyOf(image.id),
        ...(image.completedAt ? { gsi1pk: COMPLETE, gsi1sk: `${image.completedAt} ${image.id}` } : {}),
      }),
    });
  }

  find(id: string): Promise<BootImageRecord | undefined> {
    return this.#images.find(keyOf(id));
  }

  /** Adds the image. Returns the existing one if there is one. */
  add(image: BootImageRecord): Promise<BootImageRecord> {
    return this.#images.modify(keyOf(image.id), (existing) => existing ?? image);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (image: BootImageRecord) => BootImageRecord): Promise<BootImageRecord> {
    return this.#images.modify(keyOf(id), (image) => {
      if (!image) throw new NotFoundError("boot image", id);
      return change(image);
    });
  }

  /** Complete ones, newest first. */
  page(query: { limit: number; cursor?: string | undefined }): Promise<TablePage<BootImageRecord>> {
    return this.#images.page({ partition: COMPLETE, index: true, ...query });
  }

  /** The newest complete one. */
  async newest(): Promise<BootImageRecord | undefined> {
    const { items } = await this.page({ limit: 1 });
    return items[0];
  }
}

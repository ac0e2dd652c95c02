import { createHash } from "node:crypto";
import { posix } from "node:path";
import { BootStateUnreadableError } from "#shared/errors.ts";
import type { BootMachine, FileAttributes } from "../machine/boot-machine.ts";
import { EFI_VARIABLES } from "../machine/system.ts";
import type { SavedBootState, SavedItem, SavedItemOf } from "./saved-state.ts";
import type { FileLocation, VolumeMap } from "./volumes.ts";

/** No boot loader's file that is written as a whole is longer. */
const CONTENT_LIMIT_BYTES = 2 ** 20;

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function variablePath(name: string): string {
  return posix.join(EFI_VARIABLES, name);
}

/**
 * Records single items of a machine's boot state. Throws `BootStateUnreadableError` for anything that could
 * not be restored exactly.
 */
export class StateRecorder {
  readonly #machine: BootMachine;
  readonly #volumes: VolumeMap;

  constructor(machine: BootMachine, volumes: VolumeMap) {
    this.#machine = machine;
    this.#volumes = volumes;
  }

  /** A file that will be written; `arm` returns its new content from the current one. */
  async file(
    path: string,
    format: SavedItemOf<"file">["format"],
    arm: (before: Buffer | undefined) => Buffer,
  ): Promise<SavedItem> {
    const location = this.location(path);
    const common = { kind: "file", location, format, secret: false, staged: false } as const;
    const status = await this.#regularFile(path);
    if (!status) return { ...common, armed: armedContent(arm(undefined)) };
    if (status.sizeBytes > CONTENT_LIMIT_BYTES) throw new BootStateUnreadableError(path, "it is too large");
    const content = await this.#machine.contents(path);
    if (content?.length !== status.sizeBytes) throw new BootStateUnreadableError(path, "it is changing");
    const before = {
      ...savedAttributes(status),
      sizeBytes: content.length,
      sha256: sha256(content),
      contentBase64: content.toString("base64"),
    };
    return { ...common, before, armed: armedContent(arm(content)) };
  }

  async watchedFile(path: string): Promise<SavedItem> {
    const location = this.location(path);
    const status = await this.#regularFile(path);
    const hash = status && (await this.#machine.hash(path));
    if (!hash) return { kind: "watched-file", location };
    const before = { ...savedAttributes(status), sizeBytes: status.sizeBytes, sha256: hash };
    return { kind: "watched-file", location, before };
  }

  async folder(path: string): Promise<SavedItem> {
    const location = this.location(path);
    const status = await this.#machine.status(path);
    if (!status) return { kind: "folder", location };
    if (status.kind !== "folder") throw new BootStateUnreadableError(path, "it is not a folder");
    return {
      kind: "folder",
      location,
      before: { ...savedAttributes(status), names: await this.#machine.list(path) },
    };
  }

  /**
   * A firmware variable that will be written with `armed`; `entry`: the boot entry that the variable refers
   * to.
   */
  async variable(
    name: string,
    { format, armed, entry }: Pick<SavedItemOf<"variable">, "format" | "entry"> & { armed: Buffer },
  ): Promise<SavedItem> {
    const bytes = await this.#machine.contents(variablePath(name));
    return {
      ...{ kind: "variable", name, format, armed: armedContent(armed), ...(entry && { entry }) },
      ...(bytes && { before: armedContent(bytes) }),
    };
  }

  location(path: string): FileLocation {
    const location = this.#volumes.locationOf(path);
    if (!location) throw new BootStateUnreadableError(path, "its file system has no UUID");
    return location;
  }

  /** The volumes that these items need. */
  volumesOf(items: readonly SavedItem[]): SavedBootState["volumes"] {
    const paths = items.flatMap((item) => ("location" in item ? [this.#volumes.pathOf(item.location)] : []));
    const found = new Map<string, SavedBootState["volumes"][number]>();
    for (const path of paths) {
      const volume = this.#volumes.holding(path);
      if (!volume) continue;
      const { uuid, type, mountPoint, root } = volume;
      found.set(uuid, { uuid, type, mountPoint, root });
    }
    return [...found.values()];
  }

  async #regularFile(path: string) {
    const status = await this.#machine.status(path);
    if (status && status.kind !== "file")
      throw new BootStateUnreadableError(path, "it is not a regular file");
    return status;
  }
}

function armedContent(bytes: Buffer) {
  return { bytesBase64: bytes.toString("base64"), sha256: sha256(bytes) };
}

function savedAttributes({ mode, uid, gid, modifiedNs }: FileAttributes) {
  return { mode, uid, gid, modifiedNs: String(modifiedNs) };
}

// Not all errors: a thread that starts loads what it imports.
import { CausewayError } from "../errors/causeway-error.ts";

/** Bytes that differ from what was written: cut short, altered, or moved to another object's place. */
export class DamagedObjectError extends CausewayError {
  override readonly name = "DamagedObjectError";
  readonly retryable = false;
  readonly hint = "Run `causeway repo check`; restore from another recovery point, or capture again.";
  /** What is damaged: an object's key or a part's name. */
  readonly object: string;

  constructor(object: string, detail: string, options?: ErrorOptions) {
    super(`${object} is damaged: ${detail}`, options);
    this.object = object;
  }
}

/** Written by a newer Causeway than this one. */
export class UnsupportedFormatError extends CausewayError {
  override readonly name = "UnsupportedFormatError";
  readonly retryable = false;
  readonly hint = "Update the agent: the repository was written by a newer version.";
  readonly version: number;

  constructor(object: string, version: number) {
    super(`${object} has format version ${version}, which this version does not read`);
    this.version = version;
  }
}

/** A block's content in its pack does not match the disk map. */
export class BlockMismatchError extends CausewayError {
  override readonly name = "BlockMismatchError";
  readonly retryable = false;
  readonly hint = "Run `causeway repo check`; restore from another recovery point, or capture again.";
  /** Position on the disk, in blocks. */
  readonly block: number;

  constructor(block: number, detail: string) {
    super(`block ${block} does not match its id: ${detail}`);
    this.block = block;
  }
}

import type { Machine } from "../../machine/machine.ts";

/** What a LUKS2 header says about the ways to open it: its tokens (LUKS2 on-disk format, section 3.5). */
export interface LuksToken {
  type: string;
  /** For systemd's token: whether the TPM also requires a PIN. */
  needsPin: boolean;
}

const MAGIC = Buffer.from("LUKS\xba\xbe", "latin1");
const BINARY_HEADER_BYTES = 4096;
const LARGEST_HEADER_BYTES = 8 * 2 ** 20;

/** Empty for LUKS1, which has no tokens; `undefined` if the header cannot be read. */
export async function readLuksTokens(machine: Machine, path: string): Promise<LuksToken[] | undefined> {
  try {
    const disk = await machine.openDisk(path);
    try {
      const binary = Buffer.from(await disk.read(0, BINARY_HEADER_BYTES));
      if (!binary.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
      if (binary.readUInt16BE(6) !== 2) return [];
      const size = Number(binary.readBigUInt64BE(8));
      if (size <= BINARY_HEADER_BYTES || size > LARGEST_HEADER_BYTES) return undefined;
      const text = Buffer.from(await disk.read(BINARY_HEADER_BYTES, size - BINARY_HEADER_BYTES)).toString(
        "utf8",
      );
      return tokensIn(JSON.parse(text.replace(/\0[\s\S]*$/, "")));
    } finally {
      await disk.close();
    }
  } catch {
    // It is then unknown how it opens, and it is judged so.
    return undefined;
  }
}

function tokensIn(header: unknown): LuksToken[] {
  const tokens = isObject(header) && isObject(header.tokens) ? Object.values(header.tokens) : [];
  return tokens.flatMap((token) =>
    isObject(token) && typeof token.type === "string"
      ? [{ type: token.type, needsPin: token["tpm2-pin"] === true }]
      : [],
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

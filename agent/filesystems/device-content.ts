import { openDisk } from "../disk/disk-source.ts";
import { probeCandidates } from "./probe.ts";
import { readerOf } from "./source-reader.ts";

/** The types of everything that a device or image can be read as, past the page cache. */
export async function contentTypesOf(path: string): Promise<string[]> {
  const source = await openDisk(path);
  try {
    return (await probeCandidates(readerOf(source))).map(({ type }) => type);
  } finally {
    await source.close();
  }
}

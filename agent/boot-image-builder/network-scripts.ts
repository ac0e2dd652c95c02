import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NetworkScripts } from "../boot-image/network-scripts.ts";

const FILES = join(import.meta.dirname, "files");

/** The network scripts of the RAM disk. */
export async function readNetworkScripts(): Promise<NetworkScripts> {
  const read = (name: string) => readFile(join(FILES, name), "utf8");
  return { network: await read("network"), dhcp: await read("dhcp"), functions: await read("functions") };
}

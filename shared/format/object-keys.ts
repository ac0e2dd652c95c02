/** The keys of a source server's objects in the bucket: the table in docs/format.md. */

/** Everything of one source server is below it. */
export function repositoryPrefix(sourceId: string): string {
  return `sources/${sourceId}/`;
}

export function keyObjectName(sourceId: string): string {
  return `${repositoryPrefix(sourceId)}key.json`;
}

/** The name of a pack is the SHA-256 of its bytes, in hex digits if it is text. */
export function packKey(sourceId: string, name: Uint8Array | string): string {
  const text = typeof name === "string" ? name : Buffer.from(name).toString("hex");
  return `${repositoryPrefix(sourceId)}packs/${text}`;
}

export function pointKey(sourceId: string, pointId: string): string {
  return `${repositoryPrefix(sourceId)}points/${pointId}`;
}

/** Written by the control plane only. */
export function prunedKey(sourceId: string, pointId: string): string {
  return `${repositoryPrefix(sourceId)}pruned/${pointId}`;
}

export function bootStatePrefix(sourceId: string): string {
  return `${repositoryPrefix(sourceId)}boot-states/`;
}

/**
 * The key of a source's boot state as a conversion found it; it contains the state's SHA-256 in hex digits.
 */
export function bootStateKey(sourceId: string, conversionId: string, sha256: string): string {
  return `${bootStatePrefix(sourceId)}${conversionId}/${sha256}.json`;
}

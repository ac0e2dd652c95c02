export interface XfsLayout {
  version: 4 | 5;
  blockBytes: number;
  sectorBytes: number;
  uuid: Buffer;
  /** The UUID in version 5's metadata; differs from the other one if that was changed later. */
  metadataUuid: Buffer;
  blocks: number;
  groupBlocks: number;
  groupBlocksLog: number;
  groups: number;
  logStart: bigint;
  logBlocks: number;
}

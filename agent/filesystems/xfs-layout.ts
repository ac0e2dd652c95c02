export interface XfsLayout {
  version: 4 | 5;
  blockBytes: number;
  sectorBytes: number;
  uuid: Buffer;
  /** What version 5 stamps its metadata with; not the other one where that was changed later. */
  metadataUuid: Buffer;
  blocks: number;
  groupBlocks: number;
  groupBlocksLog: number;
  groups: number;
  logStart: bigint;
  logBlocks: number;
}

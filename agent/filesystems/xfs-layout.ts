export interface XfsLayout {
  version: 4 | 5;
  blockBytes: number;
  sectorBytes: number;
  blocks: number;
  groupBlocks: number;
  groupBlocksLog: number;
  groups: number;
  logStart: bigint;
  logBlocks: number;
}

export interface TablePartition {
  /** From 1; logical MBR partitions from 5. */
  number: number;
  offsetBytes: number;
  sizeBytes: number;
  /** GPT type GUID in lower case, or MBR type such as `0x83`. */
  type: string;
  uuid?: string;
  label?: string;
  bootable: boolean;
}

export interface PartitionTable {
  /** `unknown`: there is one, but it cannot be trusted; see `problems`. */
  kind: "gpt" | "mbr" | "none" | "unknown";
  uuid?: string;
  partitions: TablePartition[];
  /**
   * Where the table's own structures begin, in bytes: what a probe of the whole disk finds there is not a
   * second reading.
   */
  structures: number[];
  /**
   * Why systems might disagree about it. Its partitions can be shown, but free space within them must not be
   * trusted.
   */
  problems: string[];
}

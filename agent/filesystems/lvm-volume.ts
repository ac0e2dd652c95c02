/** A stretch of a logical volume on the one physical volume at hand. */
export interface LvmPiece {
  /** On the physical volume. */
  offset: number;
  length: number;
}

export interface LvmVolume {
  name: string;
  /**
   * In the volume's order where all of it is here, one after another; nothing for any other layout, or one
   * that LVM uses internally.
   */
  pieces: LvmPiece[] | undefined;
  /** What it takes of this physical volume, in whatever layout. */
  taken: LvmPiece[];
}

/** Which state of a volume group a text describes: LVM counts up with each change. */
export interface LvmGroupState {
  uuid: string;
  sequence: number;
}

export interface LvmPhysicalVolume {
  group: LvmGroupState;
  /** Where extents begin, and how many bytes they cover. */
  extentsOffset: number;
  extentsBytes: number;
  volumes: LvmVolume[];
}

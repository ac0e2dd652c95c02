/** A stretch of a logical volume on this physical volume. */
export interface LvmPiece {
  /** On the physical volume. */
  offset: number;
  length: number;
}

/** A piece, and where in its logical volume it is. */
export interface LvmSegment extends LvmPiece {
  volumeOffset: number;
}

export interface LvmVolume {
  name: string;
  /** As LVM shows it. */
  uuid: string;
  /**
   * In the volume's order, if all of it is here in plain pieces; `undefined` for any other layout, or for a
   * volume that LVM uses internally.
   */
  pieces: LvmPiece[] | undefined;
  /** What it takes of this physical volume, in any layout. */
  taken: LvmPiece[];
  /**
   * The part of it that is here, if all of it, here and elsewhere, consists of plain pieces; `undefined`
   * for any other layout. Other volumes, such as snapshots, may build on it.
   */
  segments: LvmSegment[] | undefined;
}

/** The state of a volume group that a text describes: LVM increments it with each change. */
export interface LvmGroupState {
  uuid: string;
  sequence: number;
}

export interface LvmPhysicalVolume {
  /** As LVM shows it, without dashes. */
  uuid: string;
  groupName: string;
  group: LvmGroupState;
  /** Where extents begin, and how many bytes they cover. */
  extentsOffset: number;
  extentsBytes: number;
  volumes: LvmVolume[];
}

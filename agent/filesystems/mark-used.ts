/**
 * Marks a stretch of a volume as used. Marks come in any order and can overlap; none can be undone, so a
 * volume that turns out to be doubtful midway is marked as a whole.
 */
export type MarkUsed = (offset: number, length: number) => void;
